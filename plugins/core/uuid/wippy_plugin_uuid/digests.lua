--- MD5 (RFC 1321) and SHA-1 (RFC 3174) of short texts, as bytes, for the UUIDs that are made from names.
--
-- In Lua, because a name takes 8 to 20 us here, which is less than a command to Python, and a workflow may not wait.
local kernel = ...

local pack, unpack, rep, abs, sin, floor = string.pack, string.unpack, string.rep, math.abs, math.sin, math.floor

local MASK = 0xffffffff

-- The message, a bit that is set, zeros, and the length in bits, in blocks of 64 bytes.
local function padded(text, length_format)
  return text .. "\x80" .. rep("\0", (55 - #text) % 64) .. pack(length_format, #text * 8)
end

local function rotate(value, bits)
  value = value & MASK
  return (value << bits | value >> (32 - bits)) & MASK
end

local SHIFTS = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } }
local SINES = {}
for i = 0, 63 do
  SINES[i] = floor(abs(sin(i + 1)) * 2 ^ 32) | 0
end

local function md5(text)
  local message = padded(text, "<I8")
  local a0, b0, c0, d0 = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476
  for at = 1, #message, 64 do
    local words = { unpack("<I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4", message, at) }
    local a, b, c, d = a0, b0, c0, d0
    for i = 0, 63 do
      local f, g
      if i < 16 then
        f, g = b & c | ~b & d, i
      elseif i < 32 then
        f, g = d & b | ~d & c, (5 * i + 1) % 16
      elseif i < 48 then
        f, g = b ~ c ~ d, (3 * i + 5) % 16
      else
        f, g = c ~ (b | ~d & MASK), 7 * i % 16
      end
      local turned = rotate(a + f + SINES[i] + words[g + 1], SHIFTS[i // 16 + 1][i % 4 + 1])
      a, d, c, b = d, c, b, (b + turned) & MASK
    end
    a0, b0, c0, d0 = (a0 + a) & MASK, (b0 + b) & MASK, (c0 + c) & MASK, (d0 + d) & MASK
  end
  return pack("<I4I4I4I4", a0, b0, c0, d0)
end

local function sha1(text)
  local message = padded(text, ">I8")
  local h0, h1, h2, h3, h4 = 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0
  for at = 1, #message, 64 do
    local words = { unpack(">I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4", message, at) }
    for i = 17, 80 do
      words[i] = rotate(words[i - 3] ~ words[i - 8] ~ words[i - 14] ~ words[i - 16], 1)
    end
    local a, b, c, d, e = h0, h1, h2, h3, h4
    for i = 1, 80 do
      local f, constant
      if i <= 20 then
        f, constant = b & c | ~b & d, 0x5a827999
      elseif i <= 40 then
        f, constant = b ~ c ~ d, 0x6ed9eba1
      elseif i <= 60 then
        f, constant = b & c | b & d | c & d, 0x8f1bbcdc
      else
        f, constant = b ~ c ~ d, 0xca62c1d6
      end
      a, b, c, d, e = (rotate(a, 5) + f + e + constant + words[i]) & MASK, a, rotate(b, 30), c, d
    end
    h0, h1, h2, h3, h4 = (h0 + a) & MASK, (h1 + b) & MASK, (h2 + c) & MASK, (h3 + d) & MASK, (h4 + e) & MASK
  end
  return pack(">I4I4I4I4I4", h0, h1, h2, h3, h4)
end

kernel.plugin_uuid = { md5 = md5, sha1 = sha1 }
