--- Lua values as JSON text: kernel.json_encode (manual page lua/data/json).
--
-- On the hot path of HTTP: strings are checked by an anchored match (a third of the price of a find), and quoted keys
-- are kept. Nothing else is shared between calls, because a preempted coroutine may stop anywhere in here.
local kernel = ...

local error, next, pcall, tonumber, type = error, next, pcall, tonumber, type
local getmetatable, rawget = debug.getmetatable, rawget
local find, format, gsub, sub, concat = string.find, string.format, string.gsub, string.sub, table.concat
local tointeger, utf8_char, utf8_len = math.tointeger, utf8.char, utf8.len
local new_error, is_error, is_empty_map = kernel.new_error, kernel.is_error, kernel.is_empty_map
local class_of, view = kernel.class_of, kernel.view

local HUGE = math.huge
local EXACT = 2 ^ 53 -- below it an integral float is exactly an integer

local MAX_DEPTH = 128

local ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t",
}
for code = 0, 31 do
  local char = utf8_char(code)
  ESCAPES[char] = ESCAPES[char] or format("\\u%04x", code)
end

-- Printable ASCII but for the quote and the backslash; a set is tried in order, so the range of small letters is first.
local PLAIN = "^[]-~ #-[!]*$"

-- JSON is UTF-8: bytes that are not become U+FFFD, each one.
local function repair(text)
  local parts, n, from = {}, 0, 1
  local _, bad = utf8_len(text)
  while bad do
    parts[n + 1], parts[n + 2] = sub(text, from, bad - 1), "\u{FFFD}"
    n, from = n + 2, bad + 1
    _, bad = utf8_len(text, from)
  end
  parts[n + 1] = sub(text, from)
  return concat(parts)
end

local function quote(text)
  if find(text, PLAIN) then
    return '"' .. text .. '"'
  end
  text = gsub(text, '[%c"\\]', ESCAPES)
  if not utf8_len(text) then
    text = repair(text)
  end
  return '"' .. text .. '"'
end

-- Anything but an integral number below 2^53; the shortest text that reads back as the same number.
local function number_text(value)
  local integer = tointeger(value)
  if integer then
    return format("%d", integer)
  elseif value ~= value or value == HUGE or value == -HUGE then
    return "null"
  end
  for digits = 15, 16 do
    local text = format("%." .. digits .. "g", value)
    if tonumber(text) == value then
      return text
    end
  end
  return format("%.17g", value)
end

-- Where encoding is: path[0] is the root, path[d] the key at depth d. Written as "items[3].name".
local function place(path, depth)
  local parts = {}
  for i = 1, depth do
    local key = path[i]
    if type(key) == "number" then
      parts[#parts + 1] = "[" .. kernel.tostring(key) .. "]"
    else
      parts[#parts + 1] = (i > 1 and "." or "") .. kernel.safe_tostring(key)
    end
  end
  return concat(parts)
end

local function refuse(path, depth, problem)
  local where = depth > 0 and " at " .. place(path, depth) or ""
  error(new_error("json.encode: " .. problem .. where, "Internal", false), 0)
end

local function refuse_depth(path)
  local value, seen = path[0], {}
  for depth = 1, MAX_DEPTH do
    if type(value) ~= "table" or not kernel.is_plain(value) then
      break -- a handle stood for another value: it cannot be followed from here
    end
    seen[value] = true
    value = rawget(view(value), path[depth])
    if value ~= nil and seen[value] then
      refuse(path, depth, "recursive table reference")
    end
  end
  refuse(path, 3, "nesting exceeds " .. MAX_DEPTH .. " levels")
end

-- key -> '{"key":' and ',"key":'. Keys repeat; both tables are emptied when something feeds them ever new ones.
local opening, following = {}, {}
local cached = 0
local CACHED_KEYS, CACHED_LENGTH = 4096, 64

local function empty(table_)
  for key in next, table_ do
    table_[key] = nil
  end
end

local function key_text(names, key)
  local quoted = quote(key) .. ":"
  local first, later = "{" .. quoted, "," .. quoted
  if #key <= CACHED_LENGTH then
    cached = cached + 1
    if cached > CACHED_KEYS then
      empty(opening)
      empty(following)
      cached = 1
    end
    opening[key], following[key] = first, later
  end
  return names == opening and first or later
end

local MIXED = "mixed key types in a table (keys must be all strings, or the integers from 1)"

local encode_table

-- The rest of the kinds: an Error is its message, a payload its data, and a handle what its class says.
local function encode_handle(value, out, n, depth, path)
  local class = class_of(value)
  local to_json = rawget(getmetatable(value), "__tojson")
  if not to_json then
    refuse(path, depth - 1, "cannot encode a " .. (class.name or rawget(class, "__name") or "userdata"))
  end
  local plain = to_json(value)
  local kind = type(plain)
  if kind == "table" then
    return encode_table(plain, out, n, depth, path)
  elseif kind == "string" then
    out[n + 1] = quote(plain)
  elseif kind == "number" then
    out[n + 1] = number_text(plain)
  elseif kind == "nil" or kind == "boolean" then
    out[n + 1] = plain == nil and "null" or plain and "true" or "false"
  else
    refuse(path, depth - 1, "cannot encode a " .. kind)
  end
  return n + 1
end

-- Append an item of the table at `depth`, found under `key`, in a form that follows `before`.
local function encode_item(before, value, out, n, depth, path, key)
  local kind = type(value)
  if kind == "string" then
    if find(value, PLAIN) then
      out[n + 1] = before .. '"' .. value .. '"'
    else
      out[n + 1] = before .. quote(value)
    end
    return n + 1
  end
  out[n + 1] = before
  n = n + 2
  if kind == "number" then
    if value % 1 == 0 and value < EXACT and value > -EXACT then
      out[n] = value // 1 | 0
    else
      out[n] = number_text(value)
    end
  elseif kind == "table" then
    path[depth] = key
    return encode_table(value, out, n - 1, depth + 1, path)
  elseif kind == "boolean" then
    out[n] = value and "true" or "false"
  else
    path[depth] = key
    refuse(path, depth, "cannot encode a " .. kind)
  end
  return n
end

-- A table whose keys did not come as 1, 2, 3: an array that lies in the hash part, or no array at all.
local function encode_unordered(value, out, n, depth, path)
  local count, most = 0, 0
  for key in next, value do
    local index = type(key) == "number" and tointeger(key)
    if not index then
      refuse(path, depth - 1, MIXED)
    elseif index < 1 then
      refuse(path, depth - 1, "sparse array (index " .. index .. ")")
    end
    count = count + 1
    most = index > most and index or most
  end
  if count ~= most then
    refuse(path, depth - 1, format("sparse array (%d of %d items are there)", count, most))
  end
  local before = "["
  for i = 1, count do
    n = encode_item(before, value[i], out, n, depth, path, i)
    before = ","
  end
  out[n + 1] = "]"
  return n + 1
end

local function encode_array(value, out, n, depth, path)
  local start, i, before = n, 0, "["
  for key, item in next, value do
    i = i + 1
    if key ~= i then
      return encode_unordered(value, out, start, depth, path)
    end
    n = encode_item(before, item, out, n, depth, path, i)
    before = ","
  end
  out[n + 1] = "]"
  return n + 1
end

function encode_table(value, out, n, depth, path)
  if depth > MAX_DEPTH then
    refuse_depth(path)
  end
  if getmetatable(value) then
    local class = class_of(value)
    if class and class.typename ~= "table" then
      return encode_handle(value, out, n, depth, path)
    elseif is_empty_map(value) then
      out[n + 1] = "{}"
      return n + 1
    end
    value = view(value)
  end
  local first = next(value)
  if first == nil then
    out[n + 1] = "[]"
    return n + 1
  elseif type(first) ~= "string" then
    return encode_array(value, out, n, depth, path)
  end
  local names = opening
  for key, item in next, value do
    local name = names[key]
    if not name then
      if type(key) ~= "string" then
        refuse(path, depth - 1, MIXED)
      end
      name = key_text(names, key)
    end
    n = encode_item(name, item, out, n, depth, path, key)
    names = following
  end
  out[n + 1] = "}"
  return n + 1
end

local function encode_root(value)
  local out = { nil, nil, nil, nil, nil, nil, nil, nil } -- room for a small answer at once saves a third of its time
  local n = encode_table(value, out, 0, 1, { [0] = value })
  return concat(out, "", 1, n)
end

--- Encode a value; nil, Error(Internal) for what JSON cannot hold.
function kernel.json_encode(value)
  local kind = type(value)
  if kind == "table" then
    local ok, result = pcall(encode_root, value)
    if ok then
      return result
    elseif is_error(result) then
      return nil, result
    end
    error(result, 0)
  elseif kind == "string" then
    return quote(value)
  elseif kind == "number" then
    return number_text(value)
  elseif kind == "boolean" then
    return value and "true" or "false"
  elseif kind == "nil" then
    return "null"
  end
  return nil, new_error("json.encode: cannot encode a " .. kind, "Internal", false)
end

kernel.error_class.__tojson = function(err)
  return (kernel.error_fields(err))
end
kernel.payload_class.__tojson = kernel.payload_methods.data
