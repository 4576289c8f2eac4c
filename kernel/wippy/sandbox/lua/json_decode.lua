--- JSON text as Lua values: kernel.json_decode (manual page lua/data/json).
--
-- On the hot path of HTTP, so anchored matches of the string library do the scanning: one takes a member's key, its
-- colon and all white space. What they do not take is read again, slowly and strictly, to find out what it is.
local kernel = ...

local error, next, pcall, tonumber, type = error, next, pcall, tonumber, type
local byte, format, gsub, match, sub = string.byte, string.format, string.gsub, string.match, string.sub
local concat, unpack = table.concat, table.unpack
local tointeger, utf8_char = math.tointeger, utf8.char
local new_error, is_error, empty_map = kernel.new_error, kernel.is_error, kernel.empty_map

local HUGE = math.huge
local EXACT = 2 ^ 53 -- below it an integral float is exactly an integer

local MAX_DEPTH = 1000

local QUOTE, COMMA, MINUS, ZERO, NINE, COLON = 34, 44, 45, 48, 57, 58
local OPEN_ARRAY, BACKSLASH, CLOSE_ARRAY, LOWER_U, OPEN_OBJECT, CLOSE_OBJECT = 91, 92, 93, 117, 123, 125
local SPACE_BYTE = 32

-- What may stand in a string as it is; the first item is a range from "]" up to the last byte.
local TEXT = "[]-\xff #-[!]*"
local SPACE = "[ \n\r\t]*"
local SKIP = "^" .. SPACE .. "()"
local MEMBER = "^" .. SPACE .. '"(' .. TEXT .. ')"' .. SPACE .. ":" .. SPACE .. "()"
local STRING = "^(" .. TEXT .. ')"()'
local STRING_PART = "^(" .. TEXT .. ")()"
-- The usual number in the usual place; the frontier makes sure that it does not end with its point.
local NUMBER = "^([1-9]%d*%.?%d*)%f[%D]()[],}]"

local UNESCAPE = {
  [QUOTE] = '"', [BACKSLASH] = "\\", [byte("/")] = "/", [byte("b")] = "\b", [byte("f")] = "\f", [byte("n")] = "\n",
  [byte("r")] = "\r", [byte("t")] = "\t",
}

local function fail(text, at, problem)
  local before = sub(text, 1, at - 1)
  local _, newlines = gsub(before, "\n", "")
  local column = at - (match(before, ".*\n()") or 1) + 1
  local found = match(text, "^[%g ]", at) or match(text, "^[\xc2-\xf4][\x80-\xbf]+", at)
  if found then
    found = "'" .. found .. "'"
  else
    found = at > #text and "the end of the text" or format("byte 0x%02x", byte(text, at))
  end
  local message = format("json.decode: line %d, column %d: %s, found %s", newlines + 1, column, problem, found)
  error(new_error(message, "Internal", false), 0)
end

local function strict_number(text, at)
  local stop = match(text, "^-?[1-9]%d*()", at) or match(text, "^-?0()", at) or fail(text, at, "expected a value")
  stop = match(text, "^%.%d+()", stop) or stop
  stop = match(text, "^[eE][+-]?%d+()", stop) or stop
  local value = tonumber(sub(text, at, stop - 1))
  if value == HUGE or value == -HUGE then
    fail(text, at, "expected a number that a double can hold")
  end
  return tointeger(value) or value, stop
end

-- A \u escape whose digits begin at `at`; half a surrogate pair becomes U+FFFD.
local function unicode(text, at)
  local code = tonumber(match(text, "^%x%x%x%x", at) or fail(text, at, "expected four hexadecimal digits"), 16)
  at = at + 4
  if code < 0xd800 or code > 0xdfff then
    return utf8_char(code), at
  end
  local low = code < 0xdc00 and match(text, "^\\u([dD][c-fC-F]%x%x)", at)
  if not low then
    return "\u{FFFD}", at
  end
  return utf8_char(0x10000 + ((code - 0xd800) << 10) + (tonumber(low, 16) - 0xdc00)), at + 6
end

-- A string with escapes, from behind its opening quote.
local function escaped_string(text, at)
  local parts, n = {}, 0
  while true do
    local part, stop = match(text, STRING_PART, at)
    local mark = byte(text, stop)
    parts[n + 1] = part
    if mark == QUOTE then
      return concat(parts, "", 1, n + 1), stop + 1
    elseif mark ~= BACKSLASH then
      fail(text, stop, "expected the end of the string")
    end
    n = n + 2
    mark = byte(text, stop + 1)
    if mark == LOWER_U then
      parts[n], at = unicode(text, stop + 2)
    else
      parts[n] = UNESCAPE[mark] or fail(text, stop + 1, "expected a character that can be escaped")
      at = stop + 2
    end
  end
end

local function literal(text, at)
  local word = match(text, "^%l+", at)
  if word == "true" then
    return true, at + 4
  elseif word == "false" then
    return false, at + 5
  elseif word == "null" then
    return nil, at + 4
  end
  fail(text, at, "expected a value")
end

local decode_object, decode_array

-- Decode the value that begins with byte `mark` at `at`; returns it and the position behind it.
local function decode_value(text, at, mark, depth)
  if mark == QUOTE then
    local value, stop = match(text, STRING, at + 1)
    if value then
      return value, stop
    end
    return escaped_string(text, at + 1)
  elseif mark == OPEN_OBJECT then
    return decode_object(text, at + 1, depth)
  elseif mark == OPEN_ARRAY then
    return decode_array(text, at + 1, depth)
  elseif mark and mark <= NINE and (mark >= ZERO or mark == MINUS) then
    local digits, stop = match(text, NUMBER, at)
    if digits then
      local value = tonumber(digits)
      if value < EXACT then
        local whole = value // 1 | 0
        return whole == value and whole or value, stop
      end
    end
    return strict_number(text, at)
  end
  return literal(text, at)
end

-- A key that MEMBER did not take: with escapes, or malformed.
local function decode_key(text, at)
  at = match(text, SKIP, at)
  if byte(text, at) ~= QUOTE then
    fail(text, at, "expected a key in double quotes")
  end
  local key, stop = escaped_string(text, at + 1)
  stop = match(text, SKIP, stop)
  if byte(text, stop) ~= COLON then
    fail(text, stop, 'expected ":"')
  end
  return key, match(text, SKIP, stop + 1)
end

-- An object from behind its brace. White space behind values is rare: it is looked for when no comma was found.
function decode_object(text, at, depth)
  if depth > MAX_DEPTH then
    fail(text, at - 1, "expected at most " .. MAX_DEPTH .. " levels of nesting")
  end
  local object = {}
  local key, stop = match(text, MEMBER, at)
  if not key then
    stop = match(text, "^[ \n\r\t]*}()", at)
    if stop then
      return empty_map(), stop
    end
    key, stop = decode_key(text, at)
  end
  while true do
    local mark = byte(text, stop)
    if mark == QUOTE then
      local value
      value, at = match(text, STRING, stop + 1)
      if not value then
        value, at = escaped_string(text, stop + 1)
      end
      object[key] = value
    else
      object[key], at = decode_value(text, stop, mark, depth + 1)
    end
    mark = byte(text, at)
    if mark ~= COMMA and mark ~= CLOSE_OBJECT then
      at = match(text, SKIP, at)
      mark = byte(text, at)
    end
    if mark == CLOSE_OBJECT then
      if next(object) == nil then
        object = empty_map() -- all its members were null
      end
      return object, at + 1
    elseif mark ~= COMMA then
      fail(text, at, 'expected "," or "}"')
    end
    key, stop = match(text, MEMBER, at + 1)
    if not key then
      key, stop = decode_key(text, at + 1)
    end
  end
end

-- Up to this length `#` of an array with nulls inside counts them: it is built anew in one piece.
local LONGEST_WITH_NULLS = 200

-- An array from behind its bracket.
function decode_array(text, at, depth)
  if depth > MAX_DEPTH then
    fail(text, at - 1, "expected at most " .. MAX_DEPTH .. " levels of nesting")
  end
  local array, count, nulls = {}, 0, false
  at = match(text, SKIP, at)
  local mark = byte(text, at)
  if mark == CLOSE_ARRAY then
    return array, at + 1
  end
  while true do
    local value
    value, at = decode_value(text, at, mark, depth + 1)
    count = count + 1
    array[count] = value
    nulls = nulls or value == nil
    mark = byte(text, at)
    if mark ~= COMMA and mark ~= CLOSE_ARRAY then
      at = match(text, SKIP, at)
      mark = byte(text, at)
    end
    if mark == CLOSE_ARRAY then
      if nulls and count <= LONGEST_WITH_NULLS then
        array = { unpack(array, 1, count) }
      end
      return array, at + 1
    elseif mark ~= COMMA then
      fail(text, at, 'expected "," or "]"')
    end
    at = at + 1
    mark = byte(text, at)
    if mark and mark <= SPACE_BYTE then
      at = match(text, SKIP, at)
      mark = byte(text, at)
    end
  end
end

local function decode_root(text)
  local at = match(text, SKIP)
  local value, stop = decode_value(text, at, byte(text, at), 1)
  if stop <= #text then
    stop = match(text, SKIP, stop)
    if stop <= #text then
      fail(text, stop, "expected the end of the text")
    end
  end
  return value
end

--- Decode one JSON text. nil, Error(Invalid) for no string or an empty one, nil, Error(Internal) for malformed text;
-- null is nil without an Error.
function kernel.json_decode(text)
  if type(text) ~= "string" or text == "" then
    local what = type(text) == "string" and "an empty string" or kernel.type(text)
    return nil, new_error("json.decode: expected JSON text, got " .. what, "Invalid", false)
  end
  local ok, result = pcall(decode_root, text)
  if ok then
    return result
  elseif is_error(result) then
    return nil, result
  end
  error(result, 0)
end
