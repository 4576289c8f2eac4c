--- Duration objects: a whole number of nanoseconds (manual page lua/core/time).
local kernel = ...

local getmetatable, setmetatable, error = debug.getmetatable, setmetatable, error
local tointeger, format, gsub = math.tointeger, string.format, string.gsub
local P = kernel.plugin_time

local NANOSECONDS = 1

local methods = {}
local class

local function new(nanoseconds)
  return setmetatable({ nanoseconds }, class)
end
P.new_duration = new

--- The nanoseconds of a Duration, or nil for anything else.
function P.duration_nanoseconds(value)
  return getmetatable(value) == class and value[NANOSECONDS] or nil
end

local function nanoseconds(self, name)
  if getmetatable(self) ~= class then
    error("bad argument #1 to '" .. name .. "' (Duration expected, got " .. kernel.type(self) .. ")", 3)
  end
  return self[NANOSECONDS]
end

-- Towards zero, as integer division does in Go.
local function whole(amount, unit)
  return amount < 0 and -(-amount // unit) or amount // unit
end

local function fractional(amount, unit)
  local result = amount // unit + amount % unit / unit
  return tointeger(result) or result
end

function methods.nanoseconds(self)
  return nanoseconds(self, "nanoseconds")
end

function methods.microseconds(self)
  return whole(nanoseconds(self, "microseconds"), 1000)
end

function methods.milliseconds(self)
  return whole(nanoseconds(self, "milliseconds"), 1000000)
end

function methods.seconds(self)
  return fractional(nanoseconds(self, "seconds"), 1000000000)
end

function methods.minutes(self)
  return fractional(nanoseconds(self, "minutes"), 60000000000)
end

function methods.hours(self)
  return fractional(nanoseconds(self, "hours"), 3600000000000)
end

-- amount/unit in decimal, without trailing zeros.
local function decimal(amount, unit, digits)
  local text = format("%d.%0" .. digits .. "d", amount // unit, amount % unit)
  return (gsub(gsub(text, "0+$", ""), "%.$", ""))
end

local function text(amount)
  if amount == 0 then
    return "0s"
  elseif amount < 0 then
    return amount == math.mininteger and "-2562047h47m16.854775808s" or "-" .. text(-amount)
  elseif amount < 1000 then
    return amount .. "ns"
  elseif amount < 1000000 then
    return decimal(amount, 1000, 3) .. "\u{b5}s"
  elseif amount < 1000000000 then
    return decimal(amount, 1000000, 6) .. "ms"
  end
  local hours, minutes = amount // 3600000000000, amount // 60000000000
  local seconds = decimal(amount % 60000000000, 1000000000, 9) .. "s"
  if hours > 0 then
    return format("%dh%dm%s", hours, minutes % 60, seconds)
  end
  return minutes > 0 and format("%dm%s", minutes, seconds) or seconds
end

local function both(a, b, what)
  if getmetatable(a) ~= class or getmetatable(b) ~= class then
    local other = getmetatable(a) == class and b or a
    error("attempt to " .. what .. " a Duration and a " .. kernel.type(other) .. " value", 3)
  end
  return a[NANOSECONDS], b[NANOSECONDS]
end

class = kernel.value_class("Duration", methods, {
  __tostring = function(self)
    return text(self[NANOSECONDS])
  end,
  __eq = function(a, b)
    return getmetatable(a) == class and getmetatable(b) == class and a[NANOSECONDS] == b[NANOSECONDS]
  end,
  __lt = function(a, b)
    a, b = both(a, b, "compare")
    return a < b
  end,
  __le = function(a, b)
    a, b = both(a, b, "compare")
    return a <= b
  end,
  __add = function(a, b)
    a, b = both(a, b, "add")
    return new(a + b)
  end,
  __sub = function(a, b)
    a, b = both(a, b, "subtract")
    return new(a - b)
  end,
  __unm = function(self)
    return new(-self[NANOSECONDS])
  end,
})

--- What kernel.nanoseconds and kernel.seconds ask a duration.
function class.nanoseconds(self)
  return self[NANOSECONDS]
end
