--- The Lua module `time` (manual page lua/core/time).
local kernel = ...

local P = kernel.plugin_time
local integer, check_string, check_location = P.integer, P.check_string, P.check_location

local time = {
  now = P.now,
  sleep = P.sleep,
  after = P.after,
  timer = P.timer,
  ticker = P.ticker,

  utc = P.utc,
  localtz = P.local_zone,

  NANOSECOND = 1,
  MICROSECOND = 1000,
  MILLISECOND = 1000000,
  SECOND = 1000000000,
  MINUTE = 60000000000,
  HOUR = 3600000000000,

  RFC3339 = "2006-01-02T15:04:05Z07:00",
  RFC3339NANO = "2006-01-02T15:04:05.999999999Z07:00",
  RFC822 = "02 Jan 06 15:04 MST",
  RFC822Z = "02 Jan 06 15:04 -0700",
  RFC850 = "Monday, 02-Jan-06 15:04:05 MST",
  RFC1123 = "Mon, 02 Jan 2006 15:04:05 MST",
  RFC1123Z = "Mon, 02 Jan 2006 15:04:05 -0700",
  KITCHEN = "3:04PM",
  STAMP = "Jan _2 15:04:05",
  STAMP_MILLI = "Jan _2 15:04:05.000",
  STAMP_MICRO = "Jan _2 15:04:05.000000",
  STAMP_NANO = "Jan _2 15:04:05.000000000",
  DATE_TIME = "2006-01-02 15:04:05",
  DATE_ONLY = "2006-01-02",
  TIME_ONLY = "15:04:05",
}

for number, name in next, P.calendar.MONTHS do
  time[name:upper()] = number
end
for number, name in next, P.calendar.WEEKDAYS do
  time[name:upper()] = number
end

--- A Time from its components, in the machine's zone unless `location` says another.
function time.date(year, month, day, hour, minute, second, nanosecond, location)
  return P.from_wall(
    integer(year, 1, "date"),
    integer(month, 2, "date"),
    integer(day, 3, "date"),
    integer(hour, 4, "date", 0),
    integer(minute, 5, "date", 0),
    integer(second, 6, "date", 0),
    integer(nanosecond, 7, "date", 0),
    location == nil and P.local_zone or check_location(location, 8, "date")
  )
end

--- A Time from a Unix time, in the machine's zone.
function time.unix(seconds, nanoseconds)
  return P.from_unix(integer(seconds, 1, "unix"), integer(nanoseconds, 2, "unix", 0), P.local_zone)
end

function time.parse(layout, text, location)
  check_string(layout, 1, "parse")
  check_string(text, 2, "parse")
  if location ~= nil then
    check_location(location, 3, "parse")
  end
  return P.parse(layout, text, location)
end

--- A Duration from text, a number of nanoseconds, or a Duration.
function time.parse_duration(value)
  local nanoseconds, err = kernel.nanoseconds(value, "ns")
  if not nanoseconds then
    return nil, err
  end
  return P.new_duration(nanoseconds)
end

function time.load_location(name)
  return P.load_location(check_string(name, 1, "load_location"))
end

--- A Location with a name and an offset from UTC in seconds.
function time.fixed_zone(name, offset)
  return P.fixed_zone(check_string(name, 1, "fixed_zone"), integer(offset, 2, "fixed_zone"))
end

return time
