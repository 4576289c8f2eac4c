--- Time objects: an instant to the nanosecond, seen in a location (manual page lua/core/time).
--
-- Slots: seconds since 1970-01-01 UTC, nanoseconds 0..999999999, Location. Immutable: what changes a time makes
-- another.
local kernel = ...

local getmetatable, setmetatable, error, type = debug.getmetatable, setmetatable, error, type
local math_type, tointeger, ult = math.type, math.tointeger, math.ult
local P = kernel.plugin_time
local calendar, new_duration, lookup, check_location = P.calendar, P.new_duration, P.lookup, P.check_location

local SECONDS, NANOSECOND, LOCATION = 1, 2, 3
local DAY, BILLION = 86400, 1000000000
-- Go's zero time, January 1st of year 1: what is_zero means, and what rounding counts from.
local ZERO = -62135596800

local methods = {}
local class

local function new(seconds, nanosecond, location)
  return setmetatable({ seconds, nanosecond, location }, class)
end

local function bad_argument(position, name, expected, value)
  error(("bad argument #%d to '%s' (%s expected, got %s)"):format(position, name, expected, kernel.type(value)), 4)
end

local function check(self, name)
  if getmetatable(self) ~= class then
    bad_argument(1, name, "Time", self)
  end
  return self
end

local function check_other(value, name)
  if getmetatable(value) ~= class then
    bad_argument(2, name, "Time", value)
  end
  return value
end

function P.check_string(value, position, name)
  if type(value) ~= "string" then
    bad_argument(position, name, "string", value)
  end
  return value
end

--- A whole number from an argument, a fraction cut off; nil means `default`, and is an error if there is none.
function P.integer(value, position, name, default)
  if value == nil and default then
    return default
  elseif math_type(value) == "integer" then
    return value
  end
  local whole = type(value) == "number" and tointeger(value < 0 and -(-value // 1) or value // 1)
  if not whole then
    bad_argument(position, name, "integer", value)
  end
  return whole
end
local integer = P.integer

--- A Time from a Unix time, whose nanoseconds may be any number.
local function from_unix(seconds, nanoseconds, location)
  return new(seconds + nanoseconds // BILLION, nanoseconds % BILLION, location)
end
P.from_unix = from_unix

--- The current time in the machine's zone.
function P.now()
  local nanoseconds = kernel.wall_clock()
  return new(nanoseconds // BILLION, nanoseconds % BILLION, P.local_zone)
end

--- A Time from what a calendar and a clock on the wall show in a location; all parts may be out of range and carry
-- over. A local time that a change of the zone skips or repeats is taken, as in Go, with one of the two offsets.
function P.from_wall(year, month, day, hour, minute, second, nanoseconds, location)
  local wall = calendar.seconds(year, month, day, hour, minute, second) + nanoseconds // BILLION
  local offset = lookup(location, wall - (lookup(location, wall)))
  return new(wall - offset, nanoseconds % BILLION, location)
end
local from_wall = P.from_wall

-- Days and seconds of the day that the wall shows.
local function wall(self)
  local seconds = self[SECONDS] + (lookup(self[LOCATION], self[SECONDS]))
  return seconds // DAY, seconds % DAY
end

-- Arithmetic ----------------------------------------------------------------------------------------------------------

local function shifted(self, nanoseconds)
  local sum = self[NANOSECOND] + nanoseconds % BILLION
  return new(self[SECONDS] + nanoseconds // BILLION + sum // BILLION, sum % BILLION, self[LOCATION])
end

-- A difference that a Duration cannot hold (292 years) stops at the longest one, as in Go.
local function difference(a, b)
  local seconds, nanoseconds = a[SECONDS] - b[SECONDS], a[NANOSECOND] - b[NANOSECOND]
  local estimate = seconds * 1e9 + nanoseconds
  if estimate >= 2.0 ^ 63 or estimate <= -2.0 ^ 63 then
    return new_duration(estimate > 0 and math.maxinteger or math.mininteger)
  end
  return new_duration(seconds * BILLION + nanoseconds)
end

function methods.add(self, duration)
  check(self, "add")
  local nanoseconds, err = kernel.nanoseconds(duration, "ns")
  if not nanoseconds then
    return nil, err
  end
  return shifted(self, nanoseconds)
end

function methods.sub(self, other)
  return difference(check(self, "sub"), check_other(other, "sub"))
end

function methods.add_date(self, years, months, days)
  check(self, "add_date")
  local count, of_day = wall(self)
  local year, month, day = calendar.date(count)
  return from_wall(
    year + integer(years, 2, "add_date", 0),
    month + integer(months, 3, "add_date", 0),
    day + integer(days, 4, "add_date", 0),
    0, 0, of_day, self[NANOSECOND], self[LOCATION]
  )
end

-- (seconds * 10^9 + nanosecond) mod divisor, whose product no integer holds: by doubling and adding.
local function remainder(seconds, nanosecond, divisor)
  local result = 0
  local term = seconds % divisor
  local factor = BILLION
  while factor > 0 do
    if factor & 1 == 1 then
      result = result + term
      result = ult(result, divisor) and result or result - divisor
    end
    term = term + term
    term = ult(term, divisor) and term or term - divisor
    factor = factor >> 1
  end
  result = result + nanosecond % divisor
  return ult(result, divisor) and result or result - divisor
end

local function rounding_unit(value, name)
  local nanoseconds = P.duration_nanoseconds(value)
  if not nanoseconds then
    bad_argument(2, name, "Duration", value)
  end
  return nanoseconds
end

function methods.truncate(self, duration)
  check(self, "truncate")
  local unit = rounding_unit(duration, "truncate")
  if unit <= 0 then
    return self
  end
  return shifted(self, -remainder(self[SECONDS] - ZERO, self[NANOSECOND], unit))
end

function methods.round(self, duration)
  check(self, "round")
  local unit = rounding_unit(duration, "round")
  if unit <= 0 then
    return self
  end
  local over = remainder(self[SECONDS] - ZERO, self[NANOSECOND], unit)
  if over < unit - over then
    return shifted(self, -over)
  end
  return shifted(self, unit - over)
end

-- Comparison ----------------------------------------------------------------------------------------------------------

local function equal(a, b)
  return a[SECONDS] == b[SECONDS] and a[NANOSECOND] == b[NANOSECOND]
end

local function before(a, b)
  return a[SECONDS] < b[SECONDS] or (a[SECONDS] == b[SECONDS] and a[NANOSECOND] < b[NANOSECOND])
end

function methods.before(self, other)
  return before(check(self, "before"), check_other(other, "before"))
end

function methods.after(self, other)
  return before(check_other(other, "after"), check(self, "after"))
end

function methods.equal(self, other)
  return equal(check(self, "equal"), check_other(other, "equal"))
end

function methods.is_zero(self)
  check(self, "is_zero")
  return self[SECONDS] == ZERO and self[NANOSECOND] == 0
end

-- Components ----------------------------------------------------------------------------------------------------------

function methods.unix(self)
  return check(self, "unix")[SECONDS]
end

function methods.unix_nano(self)
  check(self, "unix_nano")
  return self[SECONDS] * BILLION + self[NANOSECOND]
end

function methods.date(self)
  return calendar.date((wall(check(self, "date"))))
end

function methods.clock(self)
  local _, of_day = wall(check(self, "clock"))
  return calendar.clock(of_day)
end

function methods.year(self)
  return (calendar.date((wall(check(self, "year")))))
end

function methods.month(self)
  local _, month = calendar.date((wall(check(self, "month"))))
  return month
end

function methods.day(self)
  local _, _, day = calendar.date((wall(check(self, "day"))))
  return day
end

function methods.hour(self)
  local _, of_day = wall(check(self, "hour"))
  return of_day // 3600
end

function methods.minute(self)
  local _, of_day = wall(check(self, "minute"))
  return of_day // 60 % 60
end

function methods.second(self)
  local _, of_day = wall(check(self, "second"))
  return of_day % 60
end

function methods.nanosecond(self)
  return check(self, "nanosecond")[NANOSECOND]
end

function methods.weekday(self)
  return calendar.weekday((wall(check(self, "weekday"))))
end

function methods.year_day(self)
  return calendar.year_day((wall(check(self, "year_day"))))
end

-- Locations -----------------------------------------------------------------------------------------------------------

function methods.utc(self)
  check(self, "utc")
  return new(self[SECONDS], self[NANOSECOND], P.utc)
end

function methods.in_local(self)
  check(self, "in_local")
  return new(self[SECONDS], self[NANOSECOND], P.local_zone)
end

function methods.in_location(self, location)
  check(self, "in_location")
  return new(self[SECONDS], self[NANOSECOND], check_location(location, 2, "in_location"))
end

function methods.location(self)
  return check(self, "location")[LOCATION]
end

-- Text ----------------------------------------------------------------------------------------------------------------

local function text(self, layout)
  local offset, abbreviation = lookup(self[LOCATION], self[SECONDS])
  local seconds = self[SECONDS] + offset
  local count = seconds // DAY
  local year, month, day = calendar.date(count)
  local hour, minute, second = calendar.clock(seconds % DAY)
  return P.write(layout, {
    year = year, month = month, day = day, weekday = calendar.weekday(count), year_day = calendar.year_day(count),
    hour = hour, minute = minute, second = second, nanosecond = self[NANOSECOND],
    offset = offset, abbreviation = abbreviation,
  })
end

function methods.format(self, layout)
  return text(check(self, "format"), P.check_string(layout, 2, "format"))
end

function methods.format_rfc3339(self)
  return text(check(self, "format_rfc3339"), "2006-01-02T15:04:05Z07:00")
end

-- Operators -----------------------------------------------------------------------------------------------------------

local function refuse(a, b, what)
  error(("attempt to %s a %s and a %s value"):format(what, P.describe(a), P.describe(b)), 3)
end

--- What a message calls a value: handles of this module by their class.
function P.describe(value)
  if getmetatable(value) == class then
    return "Time"
  end
  return P.duration_nanoseconds(value) and "Duration" or kernel.type(value)
end

class = kernel.value_class("Time", methods, {
  __tostring = function(self)
    return text(self, "2006-01-02 15:04:05.999999999 -0700 MST")
  end,
  __eq = function(a, b)
    return getmetatable(a) == class and getmetatable(b) == class and equal(a, b)
  end,
  __lt = function(a, b)
    if getmetatable(a) ~= class or getmetatable(b) ~= class then
      refuse(a, b, "compare")
    end
    return before(a, b)
  end,
  __le = function(a, b)
    if getmetatable(a) ~= class or getmetatable(b) ~= class then
      refuse(a, b, "compare")
    end
    return not before(b, a)
  end,
  __sub = function(a, b)
    local nanoseconds = P.duration_nanoseconds(b)
    if getmetatable(a) == class and getmetatable(b) == class then
      return difference(a, b)
    elseif getmetatable(a) ~= class or not nanoseconds then
      refuse(a, b, "subtract")
    end
    return shifted(a, -nanoseconds)
  end,
  __add = function(a, b)
    local nanoseconds = P.duration_nanoseconds(b)
    if getmetatable(a) ~= class or not nanoseconds then
      refuse(a, b, "add")
    end
    return shifted(a, nanoseconds)
  end,
})
