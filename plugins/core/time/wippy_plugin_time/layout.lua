--- Layouts: the reference time of Go, "Mon Jan 2 15:04:05 MST 2006", taken apart, and times written by them.
--
-- Source: manual page lua/core/time, which gives Go's layouts; what each element means is Go's documentation of package
-- time. An element is known by the text that stands for it, such as "2006"; a fraction of a second by ".0" or ".9".
local kernel = ...

local match, sub, find, format = string.match, string.sub, string.find, string.format
local concat = table.concat
local P = kernel.plugin_time
local calendar = P.calendar
local MONTHS, WEEKDAYS = calendar.MONTHS, calendar.WEEKDAYS

-- Elements by their first character, the longest first.
local ELEMENTS = {
  J = { "January", "Jan" },
  M = { "Monday", "Mon", "MST" },
  P = { "PM" },
  p = { "pm" },
  Z = { "Z07:00:00", "Z070000", "Z07:00", "Z0700", "Z07" },
  ["-"] = { "-07:00:00", "-070000", "-07:00", "-0700", "-07" },
  ["_"] = { "__2", "_2" },
  ["0"] = { "002", "01", "02", "03", "04", "05", "06" },
  ["1"] = { "15", "1" },
  ["2"] = { "2006", "2" },
  ["3"] = { "3" },
  ["4"] = { "4" },
  ["5"] = { "5" },
}
-- "Jane" and "Month" are words, not elements.
local NOT_BEFORE_LOWER_CASE = { Jan = true, Mon = true }

local function element_at(layout, at)
  local separator_and_digits, following = match(layout, "^([.,]0+)()", at)
  if not separator_and_digits then
    separator_and_digits, following = match(layout, "^([.,]9+)()", at)
  end
  if separator_and_digits then
    if find(layout, "^%d", following) then
      return nil
    end
    return "." .. sub(separator_and_digits, 2, 2), separator_and_digits
  end
  for _, element in ipairs(ELEMENTS[sub(layout, at, at)] or {}) do
    local after = at + #element
    if
      sub(layout, at, after - 1) == element
      and not (NOT_BEFORE_LOWER_CASE[element] and find(layout, "^%l", after))
      and not (element == "_2" and sub(layout, at, at + 4) == "_2006")
    then
      return element, element
    end
  end
  return nil
end

-- A list of {prefix, element, text}: literal text, then an element (nil after the last) and how the layout writes it.
local function take_apart(layout)
  local tokens = {}
  local start, at = 1, 1
  while at <= #layout do
    local element, text = element_at(layout, at)
    if element then
      tokens[#tokens + 1] = { prefix = sub(layout, start, at - 1), element = element, text = text }
      start = at + #text
      at = start
    else
      at = at + 1
    end
  end
  tokens[#tokens + 1] = { prefix = sub(layout, start) }
  return tokens
end

local cache, cached = {}, 0
-- Layouts are nearly always constants; this only keeps a program that makes them up from filling the memory.
local CACHE_LIMIT = 256

function P.layout_tokens(layout)
  local tokens = cache[layout]
  if not tokens then
    tokens = take_apart(layout)
    if cached >= CACHE_LIMIT then
      cache, cached = {}, 0
    end
    cache[layout], cached = tokens, cached + 1
  end
  return tokens
end

-- Writing -------------------------------------------------------------------------------------------------------------

local function year4(year)
  return year < 0 and format("-%04d", -year) or format("%04d", year)
end

local function hour12(hour)
  return hour % 12 == 0 and 12 or hour % 12
end

-- A writer of offsets: "07", "0700" or "07:00" with or without seconds; `zulu` for those that write UTC as "Z".
local function offset_writer(template, parts, zulu)
  return function(fields)
    local offset = fields.offset
    if zulu and offset == 0 then
      return "Z"
    end
    local size = offset < 0 and -offset or offset
    local sign = offset <= -60 and "-" or "+"
    local hours, minutes, seconds = calendar.clock(size)
    if parts == 1 then
      return format(template, sign, hours)
    elseif parts == 2 then
      return format(template, sign, hours, minutes)
    end
    return format(template, sign, hours, minutes, seconds)
  end
end

local OFFSET_TEMPLATES = {
  ["07"] = { "%s%02d", 1 },
  ["0700"] = { "%s%02d%02d", 2 },
  ["07:00"] = { "%s%02d:%02d", 2 },
  ["070000"] = { "%s%02d%02d%02d", 3 },
  ["07:00:00"] = { "%s%02d:%02d:%02d", 3 },
}

local function padded(template, field)
  return function(fields)
    return format(template, fields[field])
  end
end

local writers = {
  ["2006"] = function(fields)
    return year4(fields.year)
  end,
  ["06"] = function(fields)
    return format("%02d", fields.year < 0 and 0 or fields.year % 100)
  end,
  January = function(fields)
    return MONTHS[fields.month]
  end,
  Jan = function(fields)
    return sub(MONTHS[fields.month], 1, 3)
  end,
  Monday = function(fields)
    return WEEKDAYS[fields.weekday]
  end,
  Mon = function(fields)
    return sub(WEEKDAYS[fields.weekday], 1, 3)
  end,
  ["1"] = padded("%d", "month"),
  ["01"] = padded("%02d", "month"),
  ["2"] = padded("%d", "day"),
  ["_2"] = padded("%2d", "day"),
  ["02"] = padded("%02d", "day"),
  ["__2"] = padded("%3d", "year_day"),
  ["002"] = padded("%03d", "year_day"),
  ["15"] = padded("%02d", "hour"),
  ["3"] = function(fields)
    return format("%d", hour12(fields.hour))
  end,
  ["03"] = function(fields)
    return format("%02d", hour12(fields.hour))
  end,
  ["4"] = padded("%d", "minute"),
  ["04"] = padded("%02d", "minute"),
  ["5"] = padded("%d", "second"),
  ["05"] = padded("%02d", "second"),
  PM = function(fields)
    return fields.hour >= 12 and "PM" or "AM"
  end,
  pm = function(fields)
    return fields.hour >= 12 and "pm" or "am"
  end,
  [".0"] = function(fields, text)
    return sub(text, 1, 1) .. sub(format("%09d", fields.nanosecond), 1, #text - 1)
  end,
  [".9"] = function(fields, text)
    local digits = match(sub(format("%09d", fields.nanosecond), 1, #text - 1), "^(.-)0*$")
    return digits == "" and "" or sub(text, 1, 1) .. digits
  end,
}
for name, template in next, OFFSET_TEMPLATES do
  writers["-" .. name] = offset_writer(template[1], template[2], false)
  writers["Z" .. name] = offset_writer(template[1], template[2], true)
end
-- A zone without an abbreviation is told by its offset.
function writers.MST(fields)
  return fields.abbreviation ~= "" and fields.abbreviation or writers["-0700"](fields)
end

--- Write a time by a layout. `fields`: year, month, day, weekday, year_day, hour, minute, second, nanosecond, offset
-- (seconds), abbreviation.
function P.write(layout, fields)
  local tokens = P.layout_tokens(layout)
  local out = {}
  for i = 1, #tokens do
    local token = tokens[i]
    out[2 * i - 1] = token.prefix
    out[2 * i] = token.element and writers[token.element](fields, token.text) or ""
  end
  return concat(out)
end
