--- Payloads: a value with its format (manual page lua/data/payload).
--
-- A payload that holds a table can be read like the table: unknown keys, #, pairs, ipairs and next reach the data
-- (decision 1 of the reference), so a program that ignores the wrapper works too.
local kernel = ...

local getmetatable, rawget, setmetatable, type = debug.getmetatable, rawget, setmetatable, type
-- The slots of a payload. Their keys are nobody else's, so that p[1] is the data's.
local VALUE, FORMAT = {}, {}

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
    local value = rawget(self, VALUE) -- raw: a payload of nil has no such slot, which would lead here again
    if type(value) == "table" then
      return value[key]
    end
    return nil
  end,
  __len = function(self)
    return #rawget(self, VALUE)
  end,
  __tostring = function(self)
    return "payload(" .. self[FORMAT] .. ")"
  end,
})
kernel.payload_class = class

local function check(self, name)
  if getmetatable(self) ~= class then
    error("bad argument #1 to '" .. name .. "' (Payload expected, got " .. kernel.type(self) .. ")", 3)
  end
  return rawget(self, VALUE), rawget(self, FORMAT)
end

--- The value and the format of a payload; raises for anything else, naming the method that was called with it.
kernel.payload_fields = check

--- What the payload holds, encoded or not.
function methods.data(self)
  return (check(self, "data"))
end

function methods.get_format(self)
  local _, format = check(self, "get_format")
  return format
end

--- Wrap a value that belongs to the receiver already.
function kernel.new_payload(value, format)
  if not format then
    format = kernel.is_error(value) and "golang/error" or "lua/any"
  end
  return setmetatable({ [VALUE] = value, [FORMAT] = format }, class)
end

--- Return the table a payload holds, or nil if `value` is no payload or holds no table.
function kernel.payload_table(value)
  local held = getmetatable(value) == class and rawget(value, VALUE)
  return type(held) == "table" and held or nil
end

kernel.travels(class, function(payload)
  return kernel.new_payload(kernel.copy(rawget(payload, VALUE)), payload[FORMAT])
end)

kernel.extension(2, class, function(payload)
  return { format = payload[FORMAT], value = rawget(payload, VALUE) }
end, function(fields)
  return kernel.new_payload(fields.value, fields.format)
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
