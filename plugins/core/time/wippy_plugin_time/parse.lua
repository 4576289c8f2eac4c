--- Text to Time by a layout, with the leniency that Go documents for time.Parse.
--
-- Readers take (text, at, read, token, next_token), where `read` gathers what was found, and return the position after
-- their element. They return nil if the text is not of the element's form, and nil and a field's name if its number is
-- out of range.
local kernel = ...

local match, sub, find, lower, tonumber = string.match, string.sub, string.find, string.lower, tonumber
local P = kernel.plugin_time
local calendar = P.calendar

-- Numbers and names ---------------------------------------------------------------------------------------------------

-- A reader of a number of one or two digits (two if `padded`) within bounds.
local function number(field, padded, low, high)
  local pattern = padded and "^%d%d()" or "^%d%d?()"
  return function(text, at, read)
    local following = match(text, pattern, at)
    if not following then
      return nil
    end
    local value = tonumber(sub(text, at, following - 1))
    if value < low or value > high then
      return nil, field
    end
    read[field] = value
    return following
  end
end

-- A reader of one of the names, in upper or lower case; `length` cuts them to their abbreviations.
local function name(field, names, first, length)
  local known = {}
  for i = first, #names do
    known[i] = lower(sub(names[i], 1, length))
  end
  return function(text, at, read)
    for i, word in next, known do
      local after = at + #word
      if lower(sub(text, at, after - 1)) == word then
        read[field] = i
        return after
      end
    end
    return nil
  end
end

-- A reader of a number that may be padded with spaces.
local function after_spaces(most, reader)
  return function(text, at, read)
    local spaces = match(text, "^ *", at)
    return reader(text, at + math.min(#spaces, most), read)
  end
end

local function day_of_year(pattern)
  return function(text, at, read)
    local digits = match(text, pattern, at)
    if not digits then
      return nil
    end
    read.year_day = tonumber(digits)
    return at + #digits
  end
end

local function half_of_day(morning, afternoon)
  return function(text, at, read)
    local word = sub(text, at, at + 1)
    if word ~= morning and word ~= afternoon then
      return nil
    end
    read.half = word == morning and "AM" or "PM"
    return at + 2
  end
end

-- Fractions of a second -----------------------------------------------------------------------------------------------

local function read_fraction(digits, read)
  digits = sub(digits, 1, 9)
  read.nanosecond = tonumber(digits .. ("0"):rep(9 - #digits))
end

-- ".000" wants as many digits as the layout has.
local function fixed_fraction(text, at, read, token)
  local digits = match(text, "^[.,](%d+)", at)
  local wanted = #token.text - 1
  if not digits or #digits < wanted then
    return nil
  end
  read_fraction(sub(digits, 1, wanted), read)
  return at + 1 + wanted
end

-- ".999" takes any number of digits, none included.
local function free_fraction(text, at, read)
  local digits = match(text, "^[.,](%d+)", at)
  if not digits then
    return at
  end
  read_fraction(digits, read)
  return at + 1 + #digits
end

-- A fraction after the seconds is understood even where the layout does not mention it.
local function second(padded)
  local reader = number("second", padded, 0, 59)
  return function(text, at, read, _, next_token)
    local following, range = reader(text, at, read)
    local element = next_token.element
    if not following or element == ".0" or element == ".9" then
      return following, range
    end
    return free_fraction(text, following, read)
  end
end

-- Zones ---------------------------------------------------------------------------------------------------------------

local OFFSETS = {
  ["07"] = "^([+-])(%d%d)()",
  ["0700"] = "^([+-])(%d%d)(%d%d)()",
  ["07:00"] = "^([+-])(%d%d):(%d%d)()",
  ["070000"] = "^([+-])(%d%d)(%d%d)(%d%d)()",
  ["07:00:00"] = "^([+-])(%d%d):(%d%d):(%d%d)()",
}

local function offset(pattern, zulu)
  return function(text, at, read)
    if zulu and sub(text, at, at) == "Z" then
      read.location = P.utc
      return at + 1
    end
    local found = { match(text, pattern, at) }
    local following = found[#found]
    if not following then
      return nil
    end
    local hours, minutes, seconds = tonumber(found[2]), 0, 0
    if #found > 3 then
      minutes = tonumber(found[3])
    end
    if #found > 4 then
      seconds = tonumber(found[4])
    end
    -- 24 hours, 60 minutes and 60 seconds are written by some, and accepted.
    if hours > 24 or minutes > 60 or seconds > 60 then
      return nil, "time zone offset"
    end
    local size = hours * 3600 + minutes * 60 + seconds
    read.offset = found[1] == "-" and -size or size
    return following
  end
end

-- The length of a signed number of hours up to 23, or 0.
local function signed_hours(text, at)
  local digits = match(text, "^[+-](%d+)", at)
  return digits and tonumber(digits) <= 23 and #digits + 1 or 0
end

-- The length of a zone abbreviation, or nil. They have three to five capitals; longer ones end in T, or are WITA.
local function abbreviation_length(text, at)
  local four = sub(text, at, at + 3)
  if four == "ChST" or four == "MeST" then
    return 4
  elseif sub(text, at, at + 2) == "GMT" then
    return 3 + signed_hours(text, at + 3)
  elseif find(text, "^[+-]", at) then
    local length = signed_hours(text, at)
    return length > 0 and length or nil
  end
  local capitals = match(text, "^%u*", at)
  local length = #capitals
  if length == 3 or four == "WITA" and length == 4 or (length == 4 or length == 5) and find(capitals, "T$") then
    return length
  end
  return nil
end

local function abbreviation(text, at, read)
  if sub(text, at, at + 2) == "UTC" then
    read.location = P.utc
    return at + 3
  end
  local length = abbreviation_length(text, at)
  if not length or #text < at + 2 then
    return nil
  end
  read.abbreviation = sub(text, at, at + length - 1)
  return at + length
end

-- The table -----------------------------------------------------------------------------------------------------------

local readers = {
  ["2006"] = function(text, at, read)
    local digits = match(text, "^%d%d%d%d", at)
    if not digits then
      return nil
    end
    read.year = tonumber(digits)
    return at + 4
  end,
  ["06"] = function(text, at, read)
    local digits = match(text, "^%d%d", at)
    if not digits then
      return nil
    end
    local value = tonumber(digits)
    read.year = value >= 69 and 1900 + value or 2000 + value
    return at + 2
  end,
  January = name("month", calendar.MONTHS, 1),
  Jan = name("month", calendar.MONTHS, 1, 3),
  Monday = name("weekday", calendar.WEEKDAYS, 0),
  Mon = name("weekday", calendar.WEEKDAYS, 0, 3),
  ["1"] = number("month", false, 1, 12),
  ["01"] = number("month", true, 1, 12),
  -- Which days a month has is known once month and year are.
  ["2"] = number("day", false, 0, 99),
  ["_2"] = after_spaces(1, number("day", false, 0, 99)),
  ["02"] = number("day", true, 0, 99),
  ["__2"] = after_spaces(2, day_of_year("^%d%d?%d?")),
  ["002"] = day_of_year("^%d%d%d"),
  ["15"] = number("hour", false, 0, 23),
  ["3"] = number("hour", false, 0, 12),
  ["03"] = number("hour", true, 0, 12),
  ["4"] = number("minute", false, 0, 59),
  ["04"] = number("minute", true, 0, 59),
  ["5"] = second(false),
  ["05"] = second(true),
  PM = half_of_day("AM", "PM"),
  pm = half_of_day("am", "pm"),
  MST = abbreviation,
  [".0"] = fixed_fraction,
  [".9"] = free_fraction,
}
for element, pattern in next, OFFSETS do
  readers["-" .. element] = offset(pattern, false)
  readers["Z" .. element] = offset(pattern, true)
end

-- Reading -------------------------------------------------------------------------------------------------------------

-- The position after the layout's literal text, or nil. Any number of spaces matches any number of spaces.
local function skip(text, at, prefix)
  local i = 1
  while i <= #prefix do
    if sub(prefix, i, i) == " " then
      if at <= #text and sub(text, at, at) ~= " " then
        return nil
      end
      i = match(prefix, "^ *()", i)
      at = match(text, "^ *()", at)
    else
      if sub(prefix, i, i) ~= sub(text, at, at) then
        return nil
      end
      i, at = i + 1, at + 1
    end
  end
  return at
end

local function failure(layout, text, why)
  local message = ('cannot parse time "%s" with layout "%s": %s'):format(text, layout, why)
  return nil, kernel.new_error(message, "Invalid", false)
end

-- Set month and day from the day of the year; returns the name of what does not fit.
local function apply_year_day(read)
  local leap = calendar.days_in_month(read.year, 2) == 29
  if read.year_day < 1 or read.year_day > (leap and 366 or 365) then
    return "day of year out of range"
  end
  local _, month, day = calendar.date(calendar.days(read.year, 1, read.year_day))
  if read.month and read.month ~= month or read.day and read.day ~= day then
    return "day of year does not match month and day"
  end
  read.month, read.day = month, day
  return nil
end

local function apply_zone(read, default, local_zone)
  local function at(location)
    return P.from_wall(
      read.year, read.month, read.day, read.hour, read.minute, read.second, read.nanosecond, location
    )
  end
  if read.location then
    return at(read.location)
  end
  local abbreviation_read = read.abbreviation or ""
  local wall = calendar.seconds(read.year, read.month, read.day, read.hour, read.minute, read.second)
  if read.offset then
    -- The given zone, if it has this offset then; else one made for the offset.
    local there, its_name = P.lookup(local_zone, wall - read.offset)
    if there == read.offset and (abbreviation_read == "" or abbreviation_read == its_name) then
      return P.from_unix(wall - read.offset, read.nanosecond, local_zone)
    end
    return at(P.fixed_zone(abbreviation_read, read.offset))
  elseif abbreviation_read ~= "" then
    local known = P.lookup_abbreviation(local_zone, abbreviation_read, wall)
    if known then
      return P.from_unix(wall - known, read.nanosecond, local_zone)
    end
    -- An abbreviation that the zone does not know says nothing about the offset, unless it is GMT and hours.
    local hours = match(abbreviation_read, "^GMT([+-]%d+)$")
    return at(P.fixed_zone(abbreviation_read, hours and tonumber(hours) * 3600 or 0))
  end
  return at(default)
end

-- The parts that the text names, by the layout; nil and an Error if it does not match.
local function read_parts(layout, text)
  local tokens = P.layout_tokens(layout)
  local read = { year = 0, hour = 0, minute = 0, second = 0, nanosecond = 0 }
  local at = 1
  for i = 1, #tokens do
    local token = tokens[i]
    local following = skip(text, at, token.prefix)
    if not following then
      return failure(layout, text, ('expected "%s" at "%s"'):format(token.prefix, sub(text, at)))
    end
    at = following
    if token.element then
      local range
      following, range = readers[token.element](text, at, read, token, tokens[i + 1])
      if range then
        return failure(layout, text, range .. " out of range")
      elseif not following then
        return failure(layout, text, ('expected something like "%s" at "%s"'):format(token.text, sub(text, at)))
      end
      at = following
    end
  end
  if at <= #text then
    return failure(layout, text, ('extra text "%s"'):format(sub(text, at)))
  end
  return read
end

--- Parse text. Without a zone in it, it is a time in `location` (UTC if nil); an offset or an abbreviation is looked up
-- there too (in the machine's zone if nil). Returns a Time, or nil and an Error(Invalid).
function P.parse(layout, text, location)
  local read, err = read_parts(layout, text)
  if not read then
    return nil, err
  end
  if read.half == "PM" and read.hour < 12 then
    read.hour = read.hour + 12
  elseif read.half == "AM" and read.hour == 12 then
    read.hour = 0
  end
  if read.year_day then
    local mismatch = apply_year_day(read)
    if mismatch then
      return failure(layout, text, mismatch)
    end
  end
  read.month, read.day = read.month or 1, read.day or 1
  if read.day < 1 or read.day > calendar.days_in_month(read.year, read.month) then
    return failure(layout, text, "day out of range")
  end
  return apply_zone(read, location or P.utc, location or P.local_zone)
end
