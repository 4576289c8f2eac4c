--- Module uuid (RFC 9562): v1, v3, v4, v5, v7, validate, version, variant, parse, format.
--
-- Randomness and time come from the kernel, and what is remembered between calls belongs to the process: a seeded run,
-- or the replay of a workflow, gives the same identifiers again.
local kernel = ...

local S, new_error, digests = kernel.state, kernel.new_error, kernel.plugin_uuid
local format, gsub, lower, match, sub = string.format, string.gsub, string.lower, string.match, string.sub
local setmetatable, tonumber, type, unpack = setmetatable, tonumber, type, string.unpack

local LOW_48 = 0xffffffffffff

-- 100 ns from the Gregorian calendar's begin, where version 1 counts from, to 1970.
local GREGORIAN = 0x01b21dd213814000

-- process -> what its time-based identifiers continue: node, and the last time stamps
local histories = setmetatable({}, { __mode = "k" })

local function history()
  local proc = S.proc
  local found = histories[proc]
  if not found then
    found = { v1 = 0, v7 = 0 }
    histories[proc] = found
  end
  return found
end

-- 64 bits, of which the version replaces four, and 64 of which the variant replaces two.
local function layout(high, version, low)
  local third, fourth = high & 0x0fff | version << 12, low >> 48 & 0x3fff | 0x8000
  return format("%08x-%04x-%04x-%04x-%012x", high >> 32, high >> 16 & 0xffff, third, fourth, low & LOW_48)
end

--- Random.
local function v4()
  return layout(kernel.random(0), 4, kernel.random(0))
end

--- Time in 100 ns and a node; the node is random, as its multicast bit tells.
local function v1()
  local past = history()
  if not past.node then
    past.node = kernel.random(0) | 0x010000000000 -- the clock sequence above it
  end
  local stamp = kernel.wall_clock() // 100 + GREGORIAN
  if stamp <= past.v1 then
    stamp = past.v1 + 1
  end
  past.v1 = stamp
  return layout(stamp << 32 | stamp >> 16 & 0xffff0000 | stamp >> 48, 1, past.node)
end

--- Milliseconds, 1/4096 of them, and randomness: the identifiers of a process sort in the order they were made.
local function v7()
  local past = history()
  local now = kernel.wall_clock()
  local stamp = now // 1000000 << 12 | now % 1000000 * 4096 // 1000000
  if stamp <= past.v7 then
    stamp = past.v7 + 1
  end
  past.v7 = stamp
  return layout(stamp >> 12 << 16 | stamp & 0x0fff, 7, kernel.random(0))
end

-- Reading -------------------------------------------------------------------------------------------------------------

local STANDARD = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

-- The 32 hexadecimal digits of any of the forms "…-…-…-…-…", "urn:uuid:…", "{…}" and 32 digits; nil for anything else.
local function digits_of(text)
  local size = #text
  if size == 45 and lower(sub(text, 1, 9)) == "urn:uuid:" then
    text = sub(text, 10)
  elseif size == 38 then
    text = match(text, "^{(.*)}$") or ""
  elseif size == 32 then
    return match(text, "^%x+$") and lower(text)
  end
  return match(text, STANDARD) and lower((gsub(text, "-", "")))
end

local function read(name, input)
  if type(input) ~= "string" then
    local problem = format("uuid.%s: expected a UUID string, got %s", name, kernel.type(input))
    return nil, new_error(problem, "Invalid", false)
  end
  local digits = digits_of(input)
  if not digits then
    return nil, new_error(format("uuid.%s: %q is not a UUID", name, sub(input, 1, 60)), "Invalid", false)
  end
  return digits
end

local function hyphenated(digits)
  return (gsub(digits, "^(........)(....)(....)(....)", "%1-%2-%3-%4-"))
end

local function from_name(function_name, version, digest)
  return function(namespace, name)
    local digits, err = read(function_name, namespace)
    if not digits then
      return nil, err
    elseif type(name) ~= "string" then
      local problem = format("uuid.%s: name must be a string, got %s", function_name, kernel.type(name))
      return nil, new_error(problem, "Invalid", false)
    end
    local bytes = gsub(digits, "%x%x", function(pair)
      return string.char(tonumber(pair, 16))
    end)
    local high, low = unpack(">i8i8", digest(bytes .. name))
    return layout(high, version, low)
  end
end

--- Whether anything is a UUID in one of the forms that the other functions read.
local function validate(input)
  return type(input) == "string" and digits_of(input) ~= nil
end

local function version_in(digits)
  return tonumber(sub(digits, 13, 13), 16)
end

local function variant_in(digits)
  local bits = tonumber(sub(digits, 17, 17), 16)
  if bits < 8 then
    return "Reserved"
  elseif bits < 12 then
    return "RFC4122"
  end
  return bits < 14 and "Microsoft" or "Future"
end

local function version(id)
  local digits, err = read("version", id)
  if not digits then
    return nil, err
  end
  return version_in(digits)
end

local function variant(id)
  local digits, err = read("variant", id)
  if not digits then
    return nil, err
  end
  return variant_in(digits)
end

--- Take a UUID apart: version, variant, and for version 1 and 7 the timestamp in seconds since 1970, for 1 the node.
local function parse(id)
  local digits, err = read("parse", id)
  if not digits then
    return nil, err
  end
  local info = { version = version_in(digits), variant = variant_in(digits) }
  if info.version == 1 then
    local stamp = tonumber(sub(digits, 14, 16) .. sub(digits, 9, 12) .. sub(digits, 1, 8), 16)
    info.timestamp = (stamp - GREGORIAN) // 10000000
    info.node = sub(digits, 21)
  elseif info.version == 7 then
    info.timestamp = tonumber(sub(digits, 1, 12), 16) // 1000
  end
  return info
end

local FORMATS = {
  standard = hyphenated,
  simple = function(digits)
    return digits
  end,
  urn = function(digits)
    return "urn:uuid:" .. hyphenated(digits)
  end,
}

--- Write a UUID as "standard" (the default), "simple" or "urn".
local function format_id(id, style)
  local digits, err = read("format", id)
  if not digits then
    return nil, err
  end
  local write = FORMATS[style == nil and "standard" or style]
  if not write then
    local got = kernel.safe_tostring(style)
    return nil, new_error('uuid.format: format must be "standard", "simple" or "urn", got ' .. got, "Invalid", false)
  end
  return write(digits)
end

return {
  v1 = v1,
  v3 = from_name("v3", 3, digests.md5),
  v4 = v4,
  v5 = from_name("v5", 5, digests.sha1),
  v7 = v7,
  validate = validate,
  version = version,
  variant = variant,
  parse = parse,
  format = format_id,
}
