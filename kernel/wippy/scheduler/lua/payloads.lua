--- Payloads: a value with its format (manual page lua/data/payload). Slots: value, format.
--
-- A payload that holds a table can be read like the table: unknown keys, #, pairs, ipairs and next reach the data
-- (decision 1 of the reference), so a program that ignores the wrapper works too.
local kernel = ...

local getmetatable, setmetatable, type = debug.getmetatable, setmetatable, type
local VALUE, FORMAT = 1, 2

kernel.payload_formats = {
  JSON = "json/plain",
  YAML = "yaml/plain",
  STRING = "text/plain",
  BYTES = "application/octet-stream",
  MSGPACK = "application/msgpack",
  LUA = "lua/any",
  GOLANG = "golang/any",
  ERROR = "golang/error",
}

--- Methods; the payload plugin adds those that convert between formats.
local methods = {}
kernel.payload_methods = methods

local class = kernel.value_class("Payload", methods, {
  __index = function(self, key)
    local method = methods[key]
    if method ~= nil then
      return method
    end
    local value = self[VALUE]
    return type(value) == "table" and value[key] or nil
  end,
  __len = function(self)
    return #self[VALUE]
  end,
  __tostring = function(self)
    return "payload(" .. self[FORMAT] .. ")"
  end,
})
kernel.payload_class = class

function methods.data(self)
  return self[VALUE]
end

function methods.get_format(self)
  return self[FORMAT]
end

--- Wrap a value that belongs to the receiver already.
function kernel.new_payload(value, format)
  if not format then
    format = kernel.is_error(value) and "golang/error" or "lua/any"
  end
  return setmetatable({ value, format }, class)
end

--- Return the table a payload holds, or nil if `value` is no payload or holds no table.
function kernel.payload_table(value)
  if getmetatable(value) == class and type(value[VALUE]) == "table" then
    return value[VALUE]
  end
  return nil
end

kernel.travels(class, function(payload)
  return setmetatable({ kernel.copy(payload[VALUE]), payload[FORMAT] }, class)
end)

kernel.extension(2, class, function(payload)
  return { format = payload[FORMAT], value = payload[VALUE] }
end, function(fields)
  return setmetatable({ fields.value, fields.format }, class)
end)

-- Numbers, strings and booleans from a future are themselves and answer :data() too (decision 1).
local scalar = {
  data = function(self)
    return self
  end,
}
debug.setmetatable(0, { __index = scalar, __metatable = false })
debug.setmetatable(true, { __index = scalar, __metatable = false })
kernel.scalar_methods = scalar
