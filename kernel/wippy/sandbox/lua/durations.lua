--- Durations as callers give them: a Duration object, Go-style text ("1h30m"), or a number in a unit the caller names.
--
-- Source: manual page lua/core/time and decision 9 of the reference. Text is exact to the nanosecond; like Go's, a
-- duration spans about 292 years either way.
local kernel = ...

local type, tonumber, math_type, tointeger = type, tonumber, math.type, math.tointeger
local match, sub = string.match, string.sub
local new_error, class_of = kernel.new_error, kernel.class_of
local MOST = math.maxinteger

local UNITS = {
  ns = 1,
  us = 1000,
  ["\u{b5}s"] = 1000, -- Unicode has the micro sign and the Greek letter; both are in use
  ["\u{3bc}s"] = 1000,
  ms = 1000000,
  s = 1000000000,
  m = 60000000000,
  h = 3600000000000,
}
-- More digits of a fraction than this do not change a duration, but would not fit an integer.
local FRACTION_DIGITS = 18

local function invalid(subject, why)
  return nil, new_error("invalid duration" .. subject .. ": " .. why, "Invalid", false)
end

-- One part such as "1.5h" in nanoseconds; nil and the reason if it is none.
local function part(whole, fraction, unit_name)
  local unit = UNITS[unit_name]
  if not unit then
    return nil, unit_name == "" and "a number has no unit (ns, us, ms, s, m or h)"
      or 'unknown unit "' .. unit_name .. '" (units are ns, us, ms, s, m, h)'
  end
  local count = whole == "" and 0 or tonumber(whole)
  if math_type(count) ~= "integer" or count > MOST // unit then
    return nil, "out of range"
  end
  local digits = sub(fraction, 2, 1 + FRACTION_DIGITS)
  if digits == "" then
    return count * unit
  end
  return count * unit + tointeger((tonumber(digits) * (unit / 10.0 ^ #digits)) // 1)
end

local function parse(text)
  local sign, rest = match(text, "^([+-]?)(.*)$")
  local subject = ' "' .. text .. '"'
  if rest == "0" then
    return 0
  elseif rest == "" then
    return invalid(subject, 'expected text like "1h30m" or "500ms"')
  end
  local total, at = 0, 1
  while at <= #rest do
    local whole, fraction, unit_name, following = match(rest, "^(%d*)(%.?%d*)([^%d.]*)()", at)
    if whole == "" and #fraction < 2 then
      return invalid(subject, 'expected text like "1h30m" or "500ms"')
    end
    local amount, why = part(whole, fraction, unit_name)
    if not amount then
      return invalid(subject, why)
    elseif amount < 0 or total > MOST - amount then
      return invalid(subject, "out of range")
    end
    total, at = total + amount, following
  end
  return sign == "-" and -total or total
end

local function check_number(value)
  if value ~= value or value == math.huge or value == -math.huge then
    return invalid("", "the number is not finite")
  end
  return value
end

local function wrong_type(value)
  return invalid("", 'expected a Duration, text like "1h30m" or a number, got ' .. kernel.type(value))
end

--- Return a duration in whole nanoseconds, or nil and an Error(Invalid).
-- `number_unit` says what a plain number counts: "ns", "ms" or "s". A class of handles that are durations has a
-- function `nanoseconds(handle)` in its class table.
function kernel.nanoseconds(value, number_unit)
  local kind = type(value)
  if kind == "string" then
    return parse(value)
  elseif kind == "number" then
    local number, err = check_number(value)
    if not number then
      return nil, err
    end
    local unit = UNITS[number_unit]
    if math_type(number) == "integer" and number <= MOST // unit and number >= -(MOST // unit) then
      return number * unit
    end
    local product = number * (unit + 0.0)
    if product >= 2.0 ^ 63 or product <= -2.0 ^ 63 then
      return invalid(" " .. kernel.tostring(value), "out of range")
    end
    return tointeger(product < 0 and -(-product // 1) or product // 1)
  end
  local class = class_of(value)
  if class and class.nanoseconds then
    return class.nanoseconds(value)
  end
  return wrong_type(value)
end

--- Return a duration in seconds (a float), or nil and an Error(Invalid); arguments as for kernel.nanoseconds.
-- A number is not held to the range of nanoseconds.
function kernel.seconds(value, number_unit)
  if type(value) == "number" then
    local number, err = check_number(value)
    return number and number * (UNITS[number_unit] / 1e9), err
  end
  local count, err = kernel.nanoseconds(value, number_unit)
  return count and count / 1e9, err
end
