--- The global `payload` (manual page lua/data/payload): new, format, and the methods that convert between formats.
--
-- A payload holds a Lua value (formats lua/any, golang/any, golang/error) or text and bytes that encode one.
local kernel = ...

local getmetatable, pcall, type = debug.getmetatable, pcall, type
local new_error, is_error = kernel.new_error, kernel.is_error
local new_payload, formats = kernel.new_payload, kernel.payload_formats
local class, fields_of = kernel.payload_class, kernel.payload_fields

local function failure(problem)
  return nil, new_error("payload: " .. problem, "Internal", false)
end

local function as_it_is(value)
  return value
end

-- A raised Error becomes the second result; MessagePack that is none fails in whatever way it fails.
local function guarded(fn, problem)
  return function(value)
    local ok, result = pcall(fn, value)
    if ok then
      return result
    end
    return failure(problem .. ": " .. kernel.safe_tostring(result))
  end
end

local function from_yaml(value)
  return kernel.command("payload.decode_yaml", value)
end

--- format -> function(text or bytes) that gives the Lua value, or nil and an Error
local decoders = {
  [formats.JSON] = kernel.json_decode,
  [formats.YAML] = from_yaml,
  [formats.MSGPACK] = guarded(kernel.unpack, "this is not MessagePack"),
  [formats.STRING] = as_it_is,
  [formats.BYTES] = as_it_is,
}

local function to_text(value)
  local kind = type(value)
  if kind == "string" then
    return value
  elseif kind == "number" or kind == "boolean" then
    return kernel.tostring(value)
  elseif kind == "nil" then
    return failure("nil has no text")
  end
  return kernel.json_encode(value)
end

local function to_error(value)
  if is_error(value) then
    return value
  elseif type(value) == "string" then
    return new_error(value)
  end
  return failure("only text becomes an error, not a " .. kernel.type(value))
end

local function to_yaml(value)
  local document, err = kernel.json_encode(value) -- it refuses what YAML cannot hold either
  if not document then
    return nil, err
  end
  return kernel.command("payload.encode_yaml", document)
end

--- format -> function(Lua value) that gives what a payload of this format holds, or nil and an Error
local encoders = {
  [formats.JSON] = kernel.json_encode,
  [formats.YAML] = to_yaml,
  [formats.MSGPACK] = guarded(kernel.pack, "this cannot be MessagePack"),
  [formats.STRING] = to_text,
  [formats.BYTES] = to_text,
  [formats.LUA] = as_it_is,
  [formats.GOLANG] = as_it_is,
  [formats.ERROR] = to_error,
}

-- Going to STRING or BYTES keeps the text or bytes that a payload holds, whatever they encode.
local RAW = { [formats.STRING] = true, [formats.BYTES] = true }

local function decode(value, format)
  local decoder = decoders[format]
  if not decoder or type(value) ~= "string" then
    return value
  end
  local decoded, err = decoder(value)
  if err then
    return failure("cannot decode " .. format .. ": " .. kernel.error_text(err))
  end
  return decoded
end

local methods = kernel.payload_methods

--- The Lua value, decoded if it has to be.
function methods.unmarshal(self)
  return decode(fields_of(self, "unmarshal"))
end

--- A payload of the same value in another format.
function methods.transcode(self, target)
  local value, format = fields_of(self, "transcode")
  local encoder = type(target) == "string" and encoders[target]
  if not encoder then
    return failure("unknown format " .. kernel.safe_tostring(target) .. " (payload.format lists them)")
  elseif target == format then
    return self
  elseif RAW[target] and decoders[format] and type(value) == "string" then
    return new_payload(value, target)
  end
  local err
  value, err = decode(value, format)
  if err == nil then
    value, err = encoder(value)
  end
  if err ~= nil then
    return failure("cannot transcode " .. format .. " to " .. target .. ": " .. kernel.error_text(err))
  end
  return new_payload(value, target)
end

--- Wrap a value; a payload is given back as it is.
local function new(value)
  if getmetatable(value) == class then
    return value
  end
  return new_payload(value)
end

return { new = new, format = formats }
