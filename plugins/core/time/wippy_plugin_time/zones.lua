--- Locations: time zones by name, by fixed offset, and the machine's own (manual page lua/core/time).
--
-- A Location's slots: its name; lookup(seconds), which gives offset and abbreviation at an instant; and
-- named(abbreviation, seconds), which gives the offset that an abbreviation means in this zone near an instant, or nil.
local kernel = ...

local getmetatable, setmetatable, error, pcall = debug.getmetatable, setmetatable, error, pcall
-- Of the C library only the rules of the machine's zone are asked, never the clock.
local machine_date = os.date
local P = kernel.plugin_time
local calendar = P.calendar

local NAME, LOOKUP, NAMED = 1, 2, 3
local DAY, HALF_YEAR = 86400, 182 * 86400

local methods = {}
local class = kernel.value_class("Location", methods, {
  __tostring = function(self)
    return self[NAME]
  end,
})

function P.is_location(value)
  return getmetatable(value) == class
end

--- Return `value` if it is a Location; raises a bad argument error in the caller's caller otherwise.
function P.check_location(value, position, name)
  if getmetatable(value) ~= class then
    error(("bad argument #%d to '%s' (Location expected, got %s)"):format(position, name, kernel.type(value)), 3)
  end
  return value
end

function methods.string(self)
  return P.check_location(self, 1, "string")[NAME]
end

--- The UTC offset in seconds and the abbreviation in force in a location at an instant.
function P.lookup(location, seconds)
  return location[LOOKUP](seconds)
end

--- The offset that an abbreviation such as "EST" stands for in a location at about that local time, or nil.
function P.lookup_abbreviation(location, abbreviation, seconds)
  return location[NAMED](abbreviation, seconds)
end

-- Fixed offsets -------------------------------------------------------------------------------------------------------

function P.fixed_zone(name, offset)
  return setmetatable({
    name,
    function()
      return offset, name
    end,
    function(abbreviation)
      return abbreviation == name and offset or nil
    end,
  }, class)
end

P.utc = P.fixed_zone("UTC", 0)

-- The machine's zone --------------------------------------------------------------------------------------------------

-- Where the C library cannot tell (on Windows before 1970, everywhere beyond its range), the epoch's offset stands in.
local function machine_lookup(seconds)
  local ok, fields = pcall(machine_date, "*t", seconds)
  if not ok then
    return machine_lookup(0)
  end
  local wall = calendar.seconds(fields.year, fields.month, fields.day, fields.hour, fields.min, fields.sec)
  return wall - seconds, machine_date("%Z", seconds)
end

-- The C library lists no abbreviations, so the year around the instant is probed for them.
local function machine_named(abbreviation, seconds)
  for _, at in ipairs({ seconds, seconds + HALF_YEAR, seconds - HALF_YEAR }) do
    local offset, name = machine_lookup(at)
    if name == abbreviation then
      return offset
    end
  end
  return nil
end

P.local_zone = setmetatable({ "Local", machine_lookup, machine_named }, class)

-- Named zones ---------------------------------------------------------------------------------------------------------

-- Seconds from the epoch to the local moment that a rule names in a year. Kinds: "M" month, week (5: the last) and
-- weekday; "J" day 1..365 without leap days; "N" day 0..365 with them.
local function rule_moment(rule, year)
  local kind, a, week, weekday = rule.kind, rule.a, rule.b, rule.c
  local day
  if kind == "M" then
    local first = calendar.days(year, a, 1)
    day = first + (weekday - calendar.weekday(first)) % 7 + (week - 1) * 7
    if day >= first + calendar.days_in_month(year, a) then
      day = day - 7
    end
  elseif kind == "J" then
    -- Counted in 2023, no leap year, and carried over as a date.
    local _, month, day_of_month = calendar.date(calendar.days(2023, 1, a))
    day = calendar.days(year, month, day_of_month)
  else
    day = calendar.days(year, 1, 1) + a
  end
  return day * DAY + rule.seconds
end

-- The type in force by a rule: what holds after the last recorded transition.
local function rule_type(rule, seconds)
  local standard, daylight = rule.standard, rule.daylight
  if not daylight then
    return standard
  end
  local year = calendar.date((seconds + standard.offset) // DAY)
  local starts = rule_moment(rule.starts, year) - standard.offset
  local ends = rule_moment(rule.ends, year) - daylight.offset
  local saving
  if starts < ends then
    saving = seconds >= starts and seconds < ends
  else
    saving = seconds >= starts or seconds < ends
  end
  return saving and daylight or standard
end

-- `data`: what the command time.zone gives (wippy_plugin_time.tzif).
local function table_lookup(data)
  local transitions, indexes, types, rule = data.transitions, data.indexes, data.types, data.rule
  local count = #transitions
  return function(seconds)
    if count == 0 or seconds < transitions[1] then
      local type = count == 0 and rule and rule_type(rule, seconds) or types[1]
      return type.offset, type.abbreviation
    elseif rule and seconds >= transitions[count] then
      local type = rule_type(rule, seconds)
      return type.offset, type.abbreviation
    end
    local low, high = 1, count -- invariant: transitions[low] <= seconds, and high is the last that may be
    while low < high do
      local middle = (low + high + 1) // 2
      if transitions[middle] <= seconds then
        low = middle
      else
        high = middle - 1
      end
    end
    local type = types[indexes[low] + 1]
    return type.offset, type.abbreviation
  end
end

-- An offset under which the zone really shows the abbreviation at that time comes first.
local function table_named(data, lookup)
  return function(abbreviation, seconds)
    local fallback
    for _, type in ipairs(data.types) do
      if type.abbreviation == abbreviation then
        local offset, name = lookup(seconds - type.offset)
        if name == abbreviation then
          return offset
        end
        fallback = fallback or type.offset
      end
    end
    return fallback
  end
end

local loaded = { UTC = P.utc, Local = P.local_zone } -- name -> Location of this VM

--- Return the Location of an IANA name, or nil and an Error: Invalid for "", NotFound for an unknown name.
function P.load_location(name)
  if loaded[name] then
    return loaded[name]
  elseif name == "" then
    return nil, kernel.new_error('location name is empty: give an IANA name such as "Europe/Paris"', "Invalid", false)
  end
  local data, err = kernel.command("time.zone", name)
  if not data then
    return nil, err
  end
  -- Another task may have loaded it while this one waited: there is one Location of a name.
  if not loaded[name] then
    local lookup = table_lookup(data)
    loaded[name] = setmetatable({ name, lookup, table_named(data, lookup) }, class)
  end
  return loaded[name]
end
