--- What user code sees of the standard library: absence, not filtering.
--
-- Only what is written here exists in a process's globals. Differences from plain Lua 5.4 are decision 6 of the
-- reference: how floats are written, %d of a fraction, and the names kept from the original's Lua 5.1.
local kernel = ...

local type, tostring, tonumber, error, next, select = type, tostring, tonumber, error, next, select
local rawequal, rawget, rawset, rawlen, ipairs, setmetatable = rawequal, rawget, rawset, rawlen, ipairs, setmetatable
local getmetatable = debug.getmetatable
local math_type, format, gmatch, rep = math.type, string.format, string.gmatch, string.rep
local class_of, is_plain, view, error_text = kernel.class_of, kernel.is_plain, kernel.view, kernel.error_text
local payload_table = kernel.payload_table
local HUGE = math.huge

-- Numbers as text -----------------------------------------------------------------------------------------------------

local function float_text(value)
  if value ~= value then
    return "NaN"
  elseif value == HUGE then
    return "+Inf"
  elseif value == -HUGE then
    return "-Inf"
  end
  local integer = math.tointeger(value)
  if integer and integer > -1e15 and integer < 1e15 then
    return tostring(integer)
  end
  return tostring(value)
end

local function sandbox_tostring(value)
  if math_type(value) == "float" then
    return float_text(value)
  end
  return tostring(value)
end
kernel.tostring = sandbox_tostring

-- Tables --------------------------------------------------------------------------------------------------------------

local function need_table(value, position, name)
  if type(value) ~= "table" or not is_plain(value) then
    error(format("bad argument #%d to '%s' (table expected, got %s)", position, name, kernel.type(value)), 3)
  end
  return view(value)
end

local function sandbox_next(table_, key)
  return next(payload_table(table_) or need_table(table_, 1, "next"), key)
end

local function sandbox_pairs(value)
  local metatable = getmetatable(value)
  if metatable == nil and type(value) == "table" then
    return next, value, nil -- the common case runs at full speed
  end
  local held = payload_table(value)
  if held then
    return sandbox_pairs(held)
  end
  if metatable and class_of(value) == nil and rawget(metatable, "__pairs") ~= nil then
    return metatable.__pairs(value)
  end
  if type(value) ~= "table" or not is_plain(value) then
    error("bad argument #1 to 'for iterator' (table expected, got " .. kernel.type(value) .. ")", 2)
  end
  local target = view(value)
  if target == value then
    return next, value, nil
  end
  -- A frozen table's fields must not be reachable for writing: iterate without handing out the target.
  return function(_, key)
    return next(target, key)
  end, value, nil
end

local function sandbox_ipairs(value)
  local held = payload_table(value)
  if held then
    return ipairs(held)
  end
  if value == nil or (type(value) == "table" and not is_plain(value)) then
    error("bad argument #1 to 'ipairs' (table expected, got " .. kernel.type(value) .. ")", 2)
  end
  return ipairs(value)
end

local function sandbox_getmetatable(value)
  local metatable = getmetatable(value)
  if metatable == nil or type(value) ~= "table" or class_of(value) ~= nil then
    return nil
  end
  local protected = rawget(metatable, "__metatable")
  if protected ~= nil then
    return protected or nil
  end
  return metatable
end

local function sandbox_setmetatable(table_, metatable)
  if type(table_) ~= "table" or not is_plain(table_) then
    error("bad argument #1 to 'setmetatable' (table expected, got " .. kernel.type(table_) .. ")", 2)
  end
  if kernel.is_empty_map(table_) then
    debug.setmetatable(table_, nil)
  end
  -- Finalizers would run outside any process, at a moment nobody chose.
  if type(metatable) == "table" and rawget(view(metatable), "__gc") ~= nil then
    error("metatable field __gc is not available", 2)
  end
  return setmetatable(table_, metatable)
end

local function sandbox_rawset(table_, key, value)
  need_table(table_, 1, "rawset")
  if kernel.is_frozen(table_) then
    error("attempt to modify a frozen table", 2)
  end
  return rawset(table_, key, value)
end

-- The handler runs where the error is raised. When that is the kill hook, no hook fires in there: it would never end.
local function sandbox_xpcall(fn, handler, ...)
  if type(handler) ~= "function" then
    error("bad argument #2 to 'xpcall' (function expected, got " .. kernel.type(handler) .. ")", 2)
  end
  return xpcall(fn, function(problem)
    if kernel.killed() then
      return problem
    end
    return handler(problem)
  end, ...)
end

kernel.base = {
  _VERSION = "Lua 5.4",
  assert = assert,
  error = error,
  ipairs = sandbox_ipairs,
  next = sandbox_next,
  pairs = sandbox_pairs,
  pcall = pcall,
  xpcall = sandbox_xpcall,
  select = select,
  tonumber = tonumber,
  tostring = sandbox_tostring,
  type = kernel.type,
  unpack = table.unpack,
  rawequal = rawequal,
  getmetatable = sandbox_getmetatable,
  setmetatable = sandbox_setmetatable,
  rawget = function(table_, key)
    return rawget(need_table(table_, 1, "rawget"), key)
  end,
  rawset = sandbox_rawset,
  rawlen = function(value)
    return type(value) == "string" and #value or rawlen(need_table(value, 1, "rawlen"))
  end,
}
local base = kernel.base

-- string --------------------------------------------------------------------------------------------------------------

-- No single call may ask for more memory than this at once; it is what an ordinary process could need, not a quota.
local LONGEST_REPEAT = 64 * 1024 * 1024

local function bounded_rep(text, count, separator)
  text = error_text(text)
  local size = #tostring(text) + (separator and #tostring(separator) or 0)
  if type(count) == "number" and count > 0 and size * count > LONGEST_REPEAT then
    error("resulting string too large", 2)
  end
  return rep(text, count, separator)
end

-- %d of a fraction truncates, %s writes integral floats without ".0": look at the directives only if a float, or an
-- object, is among the arguments.
local function adapt(template, n, args)
  local i = 0
  for directive in gmatch(template, "%%[%-%+ #0]*%d*%.?%d*(.)") do
    if directive ~= "%" then
      i = i + 1
      local value = args[i]
      if math_type(value) == "float" then
        if directive == "s" then
          args[i] = float_text(value)
        elseif (directive == "d" or directive == "i" or directive == "x" or directive == "X" or directive == "o" or directive == "c")
          and value == value and value > -9.3e18 and value < 9.2e18 then
          args[i] = math.tointeger(value < 0 and math.ceil(value) or math.floor(value))
        end
      elseif type(value) == "table" and directive ~= "s" then
        args[i] = error_text(value)
      end
    end
  end
  return format(template, table.unpack(args, 1, n))
end

local function sandbox_format(template, ...)
  template = error_text(template)
  local n = select("#", ...)
  for i = 1, n do
    local value = select(i, ...)
    if type(value) == "table" or math_type(value) == "float" then
      return adapt(template, n, { ... })
    end
  end
  return format(template, ...)
end

local function on_text(fn)
  return function(text, ...)
    return fn(error_text(text), ...)
  end
end

local patterns = kernel.patterns
local string_library = {
  byte = on_text(string.byte),
  char = string.char,
  find = patterns.find,
  match = patterns.match,
  gmatch = patterns.gmatch,
  gfind = patterns.gmatch,
  gsub = patterns.gsub,
  format = sandbox_format,
  len = on_text(string.len),
  lower = on_text(string.lower),
  upper = on_text(string.upper),
  rep = bounded_rep,
  reverse = on_text(string.reverse),
  sub = on_text(string.sub),
  pack = string.pack,
  unpack = string.unpack,
  packsize = string.packsize,
  dump = function()
    error("unable to dump given function", 2)
  end,
}

-- `("x"):upper()` goes through the string metatable, which user code cannot reach; scalars also answer :data().
local on_strings = { data = kernel.scalar_methods.data }
for name, fn in next, string_library do
  on_strings[name] = fn
end
local fast = { byte = string.byte, len = string.len, lower = string.lower, upper = string.upper, sub = string.sub, reverse = string.reverse }
for name, fn in next, fast do
  on_strings[name] = fn
end
local string_metatable = getmetatable("")
string_metatable.__index = on_strings
string_metatable.__metatable = false

-- table ---------------------------------------------------------------------------------------------------------------

local table_library = {
  concat = kernel.tables.concat,
  insert = kernel.tables.insert,
  remove = kernel.tables.remove,
  sort = kernel.tables.sort,
  unpack = table.unpack,
  pack = table.pack,
  move = kernel.tables.move,
  freeze = function(value)
    need_table(value, 1, "freeze")
    return kernel.freeze(value)
  end,
  isfrozen = function(value)
    return type(value) == "table" and kernel.is_frozen(value)
  end,
  create = function()
    return {}
  end,
  getn = function(value)
    return #value
  end,
  maxn = function(value)
    local most = 0
    for key in next, need_table(value, 1, "maxn") do
      if type(key) == "number" and key > most then
        most = key
      end
    end
    return most
  end,
}

-- math ----------------------------------------------------------------------------------------------------------------

local math_library = {}
for name, value in next, math do
  math_library[name] = value
end
math_library.randomseed = function() end -- the random source is an input of the kernel, not of user code
math_library.random = function(...)
  return kernel.math_random(...) -- looked up at every call; the number of arguments matters to it
end
math_library.pow = function(x, y)
  return x ^ y
end
math_library.mod = math.fmod
math_library.log10 = function(x)
  return math.log(x, 10)
end
math_library.ldexp = function(mantissa, exponent)
  return mantissa * 2.0 ^ exponent
end
math_library.frexp = function(x)
  if x == 0 or x ~= x or x == HUGE or x == -HUGE then
    return x, 0
  end
  local exponent = math.floor(math.log(math.abs(x), 2)) + 1
  local mantissa = x / 2.0 ^ exponent
  if math.abs(mantissa) >= 1 then
    return mantissa / 2, exponent + 1
  end
  return mantissa, exponent
end
math_library.cosh = function(x)
  return (math.exp(x) + math.exp(-x)) / 2
end
math_library.sinh = function(x)
  return (math.exp(x) - math.exp(-x)) / 2
end
math_library.tanh = function(x)
  local up, down = math.exp(x), math.exp(-x)
  return (up - down) / (up + down)
end

base.string = kernel.freeze(string_library)
base.table = kernel.freeze(table_library)
base.math = kernel.freeze(math_library)
base.utf8 = kernel.freeze({
  char = utf8.char, charpattern = utf8.charpattern, codepoint = utf8.codepoint, codes = utf8.codes, len = utf8.len,
  offset = utf8.offset,
})
base.coroutine = kernel.freeze(kernel.coroutine_library)
base.package = kernel.freeze({ loaded = kernel.freeze({}), path = "", cpath = "" })

-- What an instance with imports finds behind its globals: the base, and the modules that need no listing.
kernel.base_scope = setmetatable({}, { __index = base })
