--- The global `os`: time and date (manual page lua/system/ostime).
--
-- The clocks are the kernel's. Of the C library only the rules of the machine's time zone are used, for instants that
-- are given to it; text is made here, so that no locale shows in it.
local kernel = ...

local type, error, pcall, tointeger, floor = type, error, pcall, math.tointeger, math.floor
local match, gsub, sub, format = string.match, string.gsub, string.sub, string.format
local machine_date, machine_time = os.date, os.time

local MONTHS = {
  "January", "February", "March", "April", "May", "June",
  "July", "August", "September", "October", "November", "December",
}
local WEEKDAYS = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" }

local started = kernel.clock()

local function now()
  return kernel.wall_clock() // 1000000000
end

-- A whole number, a fraction cut off downwards; raises if `value` is no number that has one.
local function whole(value, what)
  local number = type(value) == "number" and (tointeger(value) or tointeger(floor(value)))
  if not number then
    local got = type(value) == "number" and kernel.tostring(value) or kernel.type(value)
    error(("%s must be a number, got %s"):format(what, got), 3)
  end
  return number
end

local function time(spec)
  if spec == nil then
    return now()
  elseif type(spec) ~= "table" or not kernel.is_plain(spec) then
    error("bad argument #1 to 'time' (table expected, got " .. kernel.type(spec) .. ")", 2)
  end
  local today = machine_date("*t", now())
  -- The C library carries over what is out of range, and works on a table of its own: the program's stays as it is.
  local ok, result = pcall(machine_time, {
    year = whole(spec.year == nil and today.year or spec.year, "field 'year'"),
    month = whole(spec.month == nil and today.month or spec.month, "field 'month'"),
    day = whole(spec.day == nil and today.day or spec.day, "field 'day'"),
    hour = whole(spec.hour == nil and 0 or spec.hour, "field 'hour'"),
    min = whole(spec.min == nil and 0 or spec.min, "field 'min'"),
    sec = whole(spec.sec == nil and 0 or spec.sec, "field 'sec'"),
    isdst = spec.isdst,
  })
  if not ok then
    error(result, 2)
  end
  return result
end

local function padded(template, field)
  return function(date)
    return format(template, date[field])
  end
end

local function hour12(date)
  return format("%02d", date.hour % 12 == 0 and 12 or date.hour % 12)
end

local conversions = {
  Y = padded("%d", "year"),
  m = padded("%02d", "month"),
  d = padded("%02d", "day"),
  H = padded("%02d", "hour"),
  I = hour12,
  M = padded("%02d", "min"),
  S = padded("%02d", "sec"),
  j = padded("%03d", "yday"),
  y = function(date)
    return format("%02d", date.year % 100)
  end,
  p = function(date)
    return date.hour >= 12 and "PM" or "AM"
  end,
  A = function(date)
    return WEEKDAYS[date.wday]
  end,
  a = function(date)
    return sub(WEEKDAYS[date.wday], 1, 3)
  end,
  B = function(date)
    return MONTHS[date.month]
  end,
  b = function(date)
    return sub(MONTHS[date.month], 1, 3)
  end,
  w = function(date)
    return format("%d", date.wday - 1)
  end,
  -- Weeks begin on Sunday; the days before the first one are week 0.
  U = function(date)
    return format("%02d", (date.yday + 7 - date.wday) // 7)
  end,
  z = function(_, timestamp, utc)
    return utc and "+0000" or machine_date("%z", timestamp)
  end,
  Z = function(_, timestamp, utc)
    return utc and "UTC" or machine_date("%Z", timestamp)
  end,
  x = function(date)
    return format("%02d/%02d/%02d", date.month, date.day, date.year % 100)
  end,
  X = function(date)
    return format("%02d:%02d:%02d", date.hour, date.min, date.sec)
  end,
  ["%"] = function()
    return "%"
  end,
}

function conversions.c(date)
  return format("%s %s %2d %s %d", conversions.a(date), conversions.b(date), date.day, conversions.X(date), date.year)
end

local function date(template, timestamp)
  template = template == nil and "%c" or template
  if type(template) ~= "string" then
    error("bad argument #1 to 'date' (string expected, got " .. kernel.type(template) .. ")", 2)
  end
  timestamp = timestamp == nil and now() or whole(timestamp, "timestamp")
  local utc, rest = match(template, "^(!?)(.*)$")
  utc = utc == "!"
  local ok, fields = pcall(machine_date, utc and "!*t" or "*t", timestamp)
  if not ok then
    error("timestamp " .. timestamp .. " is out of range", 2)
  elseif sub(rest, 1, 2) == "*t" then
    return fields
  end
  return (gsub(rest, "%%(.)", function(letter)
    local conversion = conversions[letter]
    return conversion and conversion(fields, timestamp, utc) -- nil leaves an unknown one as it is
  end))
end

local function difftime(later, earlier)
  if type(later) ~= "number" then
    error("bad argument #1 to 'difftime' (number expected, got " .. kernel.type(later) .. ")", 2)
  elseif earlier ~= nil and type(earlier) ~= "number" then
    error("bad argument #2 to 'difftime' (number expected, got " .. kernel.type(earlier) .. ")", 2)
  end
  local seconds = later - (earlier or 0)
  return tointeger(seconds) or seconds
end

return {
  platform = "wippy",
  time = time,
  date = date,
  difftime = difftime,
  --- Seconds since this Lua runtime started, by the clock that waiting goes by.
  clock = function()
    local seconds = kernel.clock() - started
    return tointeger(seconds) or seconds
  end,
}
