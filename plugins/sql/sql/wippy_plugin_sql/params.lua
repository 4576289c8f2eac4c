--- Parameters: NULL, typed values, and how one array table or plain arguments become what a command takes.
local kernel = ...

local type, next, select, error, setmetatable = type, next, select, error, setmetatable
local getmetatable, math_type, tointeger = debug.getmetatable, math.type, math.tointeger
local format, floor, ceil, tonumber = string.format, math.floor, math.ceil, tonumber
local new_error, view, is_plain, payload_table = kernel.new_error, kernel.view, kernel.is_plain, kernel.payload_table

local plugin = {}
kernel.plugin_sql = plugin

-- NULL crosses as nil: its class has no extension type.
local null_class = kernel.value_class("sql.NULL", {}, {
  __tostring = function()
    return "NULL"
  end,
})
local NULL = setmetatable({}, null_class)
plugin.NULL = NULL

local VALUE, BINARY = 1, 2
local typed_class = kernel.value_class("sql.Typed", {}, {
  __tostring = function(self)
    return kernel.tostring(self[VALUE])
  end,
})

local function wrong(name, expected, value)
  error(format("bad argument #1 to '%s' (%s expected, got %s)", name, expected, kernel.type(value)), 3)
end

--- sql.as: each wraps a value so that it is bound as that type; nil becomes NULL.
local as = {}
plugin.as = as

function as.int(value)
  if value == nil then
    return NULL
  end
  local number = tonumber(value)
  local integer = number and tointeger(number > 0 and floor(number) or ceil(number))
  if not integer then
    wrong("int", "integer", value)
  end
  return setmetatable({ integer }, typed_class)
end

function as.float(value)
  if value == nil then
    return NULL
  end
  local number = tonumber(value)
  if not number then
    wrong("float", "number", value)
  end
  return setmetatable({ number + 0.0 }, typed_class)
end

function as.text(value)
  if value == nil then
    return NULL
  end
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    wrong("text", "string", value)
  end
  return setmetatable({ kernel.tostring(value) }, typed_class)
end

function as.binary(value)
  if value == nil then
    return NULL
  end
  if type(value) ~= "string" then
    wrong("binary", "string", value)
  end
  return setmetatable({ value, true }, typed_class)
end

function as.null()
  return NULL
end

--- An Error for a call that is wrong.
local function invalid(message)
  return new_error(message, "Invalid", false)
end
plugin.invalid = invalid

local function refuse(position, value)
  local what = kernel.type(value)
  local hint = "bind text, numbers, booleans, sql.NULL or sql.as.*"
  if what == "table" then
    hint = "encode it as text, or pass parameters as one array"
  elseif what == "userdata" then
    hint = "bind its text"
  end
  return nil, nil, invalid(format("parameter %d is a %s: %s", position, what, hint))
end

local EMPTY = {}

-- Returns the values as an array without holes (NULL stands for nil), and the positions that are binary or nil.
local function bind(values, count)
  local bound, binary = {}, nil
  for position = 1, count do
    local value = values[position]
    local kind = type(value)
    if kind == "number" then
      -- An integral number is an integer wherever it came from; sql.as.float says otherwise.
      value = math_type(value) == "float" and tointeger(value) or value
    elseif value == nil then
      value = NULL
    elseif kind ~= "string" and kind ~= "boolean" then
      local metatable = getmetatable(value)
      if metatable == typed_class then
        if value[BINARY] then
          binary = binary or {}
          binary[#binary + 1] = position
        end
        value = value[VALUE]
      elseif metatable ~= null_class then
        return refuse(position, value)
      end
    end
    bound[position] = value
  end
  return bound, binary
end

--- Take the parameters of a call: none, one array table, or the values themselves.
-- Returns values and binary positions for a command; or nil, nil, Error.
function plugin.bind(...)
  local count = select("#", ...)
  local first = ...
  if count == 0 or (count == 1 and first == nil) then
    return EMPTY
  end
  if count == 1 and type(first) == "table" then
    local list = payload_table(first) or (is_plain(first) and view(first))
    if type(list) == "table" then
      count = #list
      if count == 0 and next(list) ~= nil then
        return nil, nil, invalid("parameters must be an array: values by position, not by name")
      end
      return bind(list, count)
    end
  end
  return bind({ ... }, count)
end
