--- The Gregorian calendar in both directions, counted in days and seconds from 1970-01-01 UTC. Pure integer arithmetic.
local kernel = ...

local DAY = 86400

local calendar = {
  MONTHS = {
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
  },
  WEEKDAYS = { [0] = "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" },
}
kernel.plugin_time = { calendar = calendar }

--- Days from the epoch to a date. Months and days outside their range carry over, as in Go's time.Date.
-- Years are counted from March here, so that the leap day is a year's last.
local function days(year, month, day)
  year = year + (month - 1) // 12
  month = (month - 1) % 12 + 1
  if month <= 2 then
    year = year - 1
  end
  local cycle = year // 400
  local year_of_cycle = year - cycle * 400
  local day_of_year = (153 * ((month + 9) % 12) + 2) // 5
  return cycle * 146097 + year_of_cycle * 365 + year_of_cycle // 4 - year_of_cycle // 100 + day_of_year + day - 719469
end
calendar.days = days

--- Year, month and day of the date that many days from the epoch.
function calendar.date(count)
  local shifted = count + 719468
  local cycle = shifted // 146097
  local day_of_cycle = shifted - cycle * 146097
  local year_of_cycle = (day_of_cycle - day_of_cycle // 1460 + day_of_cycle // 36524 - day_of_cycle // 146096) // 365
  local day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle // 4 - year_of_cycle // 100)
  local shifted_month = (5 * day_of_year + 2) // 153
  local day = day_of_year - (153 * shifted_month + 2) // 5 + 1
  local month = shifted_month < 10 and shifted_month + 3 or shifted_month - 9
  return year_of_cycle + cycle * 400 + (month <= 2 and 1 or 0), month, day
end

--- Seconds from the epoch to a date and time of day, all parts of which may be out of range.
function calendar.seconds(year, month, day, hour, minute, second)
  return days(year, month, day) * DAY + hour * 3600 + minute * 60 + second
end

--- 0 for Sunday to 6 for Saturday: the epoch was a Thursday.
function calendar.weekday(count)
  return (count + 4) % 7
end

--- 1 for January 1st.
function calendar.year_day(count)
  return count - days((calendar.date(count)), 1, 1) + 1
end

function calendar.days_in_month(year, month)
  return days(year, month + 1, 1) - days(year, month, 1)
end

--- Hour, minute and second of a count of seconds since midnight.
function calendar.clock(seconds)
  return seconds // 3600, seconds // 60 % 60, seconds % 60
end
