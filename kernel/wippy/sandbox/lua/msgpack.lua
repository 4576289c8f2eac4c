--- The one form in which values leave a VM: MessagePack.
--
-- To another worker, to Python, over the wire and onto disk. Strings that are valid UTF-8 are `str`, others `bin`; an
-- empty table is an array unless it is marked as an empty map; classes of handles that travel have an extension type.
-- wippy.sandbox.codec is the Python side.
local kernel = ...

local type, next, error, getmetatable = type, next, error, debug.getmetatable
local pack, unpack, char, byte, sub = string.pack, string.unpack, string.char, string.byte, string.sub
local concat, math_type, utf8_len = table.concat, math.type, utf8.len
local new_error, class_of, view = kernel.new_error, kernel.class_of, kernel.view
local is_empty_map, empty_map = kernel.is_empty_map, kernel.empty_map

local MAX_DEPTH = 129

-- Encoding ----------------------------------------------------------------------------------------------------------

local SMALL = {} -- integer 0..127 -> its one byte
for i = 0, 127 do
  SMALL[i] = char(i)
end
local FIXSTR = {} -- length 0..31 -> header
for i = 0, 31 do
  FIXSTR[i] = char(0xa0 + i)
end
local NIL, FALSE, TRUE = "\xc0", "\xc2", "\xc3"

-- class -> {code, to_plain}; code -> from_plain
local outward, inward = {}, {}

--- Give a class of handles an extension type: `to_plain(handle)` gives a plain value, `from_plain(value)` the handle.
function kernel.extension(code, class, to_plain, from_plain)
  outward[class] = { code = code, to_plain = to_plain }
  inward[code] = from_plain
end

local function array_header(n)
  if n < 16 then
    return char(0x90 + n)
  elseif n < 65536 then
    return pack(">BI2", 0xdc, n)
  end
  return pack(">BI4", 0xdd, n)
end

local function map_header(n)
  if n < 16 then
    return char(0x80 + n)
  elseif n < 65536 then
    return pack(">BI2", 0xde, n)
  end
  return pack(">BI4", 0xdf, n)
end

local function encode_string(value)
  local n = #value
  if utf8_len(value) then
    if n < 32 then
      return FIXSTR[n] .. value
    elseif n < 256 then
      return "\xd9" .. char(n) .. value
    elseif n < 65536 then
      return pack(">Bs2", 0xda, value)
    end
    return pack(">Bs4", 0xdb, value)
  end
  if n < 256 then
    return "\xc4" .. char(n) .. value
  elseif n < 65536 then
    return pack(">Bs2", 0xc5, value)
  end
  return pack(">Bs4", 0xc6, value)
end

local function encode_number(value)
  if math_type(value) == "float" then
    return pack(">Bd", 0xcb, value)
  elseif value >= 0 then
    if value < 128 then
      return SMALL[value]
    elseif value < 65536 then
      return pack(">BI2", 0xcd, value)
    end
    return pack(">BI8", 0xcf, value)
  elseif value >= -32 then
    return char(256 + value)
  end
  return pack(">Bi8", 0xd3, value)
end

local encode_table

-- Append the encoding of `value` to `out` after slot `n`; return the new last slot.
local function encode(value, out, n, depth)
  local kind = type(value)
  n = n + 1
  if kind == "string" then
    out[n] = encode_string(value)
  elseif kind == "number" then
    out[n] = encode_number(value)
  elseif kind == "table" then
    return encode_table(value, out, n - 1, depth)
  elseif kind == "boolean" then
    out[n] = value and TRUE or FALSE
  else
    out[n] = NIL -- nil, and what cannot leave its process
  end
  return n
end

local function encode_handle(class, value, out, n, depth)
  local extension = outward[class]
  if not extension then
    out[n + 1] = NIL
    return n + 1
  end
  local inner = {}
  local count = encode(extension.to_plain(value), inner, 0, depth + 1)
  local body = concat(inner, "", 1, count)
  out[n + 1] = pack(">BI4B", 0xc9, #body, extension.code) .. body
  return n + 1
end

function encode_table(value, out, n, depth)
  if depth > MAX_DEPTH then
    error(new_error("value is nested deeper than 128 levels, or contains itself", "Invalid"), 0)
  end
  if getmetatable(value) then
    local class = class_of(value)
    if class and class.typename ~= "table" then
      return encode_handle(class, value, out, n, depth)
    end
    if is_empty_map(value) then
      out[n + 1] = "\x80"
      return n + 1
    end
    value = view(value)
  end
  if value[1] ~= nil then
    local count = #value
    n = n + 1
    out[n] = array_header(count)
    for i = 1, count do
      n = encode(value[i], out, n, depth + 1)
    end
    return n
  end
  n = n + 1
  local header, count = n, 0
  for key, item in next, value do
    local key_type, item_type = type(key), type(item)
    if
      (key_type == "string" or key_type == "number" or key_type == "boolean")
      and item_type ~= "function"
      and item_type ~= "thread"
    then
      count = count + 1
      n = encode(key, out, n, depth)
      n = encode(item, out, n, depth + 1)
    end
  end
  out[header] = count == 0 and next(value) == nil and "\x90" or map_header(count)
  return n
end

--- Encode one value. Raises an Error(Invalid) for what is too deep or contains itself.
function kernel.pack(value)
  local kind = type(value)
  if kind == "string" then
    return encode_string(value)
  elseif kind == "number" then
    return encode_number(value)
  end
  local out = {}
  local n = encode(value, out, 0, 1)
  return n == 1 and out[1] or concat(out, "", 1, n)
end

--- Encode `n` values as one array.
function kernel.pack_values(n, ...)
  local out = { array_header(n) }
  local count = 1
  local values = { ... }
  for i = 1, n do
    count = encode(values[i], out, count, 1)
  end
  return concat(out, "", 1, count)
end

-- Decoding ----------------------------------------------------------------------------------------------------------

local decode

local function decode_array(source, at, count)
  local result = {}
  for i = 1, count do
    result[i], at = decode(source, at)
  end
  return result, at
end

local function decode_map(source, at, count)
  if count == 0 then
    return empty_map(), at
  end
  local result = {}
  for _ = 1, count do
    local key, value
    key, at = decode(source, at)
    value, at = decode(source, at)
    result[key] = value
  end
  return result, at
end

local function decode_extension(source, at, size, code)
  local from_plain = inward[code]
  if not from_plain then
    error(new_error("value of unknown extension type " .. code, "Invalid"), 0)
  end
  return from_plain((decode(source, at))), at + size
end

local function sized(format)
  return function(source, at)
    local value, following = unpack(format, source, at)
    return value, following
  end
end

-- tag byte -> decoder(source, position after the tag)
local decoders = {
  [0xc0] = function(_, at)
    return nil, at
  end,
  [0xc2] = function(_, at)
    return false, at
  end,
  [0xc3] = function(_, at)
    return true, at
  end,
  [0xc4] = sized(">s1"),
  [0xc5] = sized(">s2"),
  [0xc6] = sized(">s4"),
  [0xca] = sized(">f"),
  [0xcb] = sized(">d"),
  [0xcc] = sized(">I1"),
  [0xcd] = sized(">I2"),
  [0xce] = sized(">I4"),
  [0xcf] = sized(">i8"), -- values over 2^63-1 wrap: Lua has no unsigned integers
  [0xd0] = sized(">i1"),
  [0xd1] = sized(">i2"),
  [0xd2] = sized(">i4"),
  [0xd3] = sized(">i8"),
  [0xd9] = sized(">s1"),
  [0xda] = sized(">s2"),
  [0xdb] = sized(">s4"),
  [0xdc] = function(source, at)
    local count, following = unpack(">I2", source, at)
    return decode_array(source, following, count)
  end,
  [0xdd] = function(source, at)
    local count, following = unpack(">I4", source, at)
    return decode_array(source, following, count)
  end,
  [0xde] = function(source, at)
    local count, following = unpack(">I2", source, at)
    return decode_map(source, following, count)
  end,
  [0xdf] = function(source, at)
    local count, following = unpack(">I4", source, at)
    return decode_map(source, following, count)
  end,
}
for exponent = 0, 4 do -- fixext 1, 2, 4, 8, 16
  decoders[0xd4 + exponent] = function(source, at)
    return decode_extension(source, at + 1, 1 << exponent, byte(source, at))
  end
end
for index, format in next, { ">I1B", ">I2B", ">I4B" } do -- ext 8, 16, 32
  decoders[0xc6 + index] = function(source, at)
    local size, code, following = unpack(format, source, at)
    return decode_extension(source, following, size, code)
  end
end

function decode(source, at)
  local tag = byte(source, at)
  at = at + 1
  if tag < 0x80 then
    return tag, at
  elseif tag >= 0xe0 then
    return tag - 256, at
  elseif tag >= 0xa0 and tag < 0xc0 then
    local following = at + tag - 0xa0
    return sub(source, at, following - 1), following
  elseif tag < 0x90 then
    return decode_map(source, at, tag - 0x80)
  elseif tag < 0xa0 then
    return decode_array(source, at, tag - 0x90)
  end
  return decoders[tag](source, at)
end

--- Decode one value.
function kernel.unpack(source)
  return (decode(source, 1))
end

--- Decode an array into its values, so that nil stays where it was: returns a table with field n.
function kernel.unpack_values(source)
  local tag = byte(source, 1)
  local count, at
  if tag >= 0x90 and tag < 0xa0 then
    count, at = tag - 0x90, 2
  elseif tag == 0xdc then
    count, at = unpack(">I2", source, 2)
  else
    count, at = unpack(">I4", source, 2)
  end
  local result = { n = count }
  for i = 1, count do
    result[i], at = decode(source, at)
  end
  return result
end

kernel.extension(1, kernel.error_class, function(err)
  local message, kind, retryable, details, stack = kernel.error_fields(err)
  return { message = message, kind = kind, retryable = retryable, details = details, stack = stack }
end, function(fields)
  return new_error(fields.message, fields.kind, fields.retryable, fields.details, fields.stack)
end)
