--- The table library's functions that could keep the VM busy in C: an order function, a __len that lies, a long array.
--
-- Short arrays without a metatable are left to C. The rest is done here, where it can be preempted and where callbacks may
-- wait; the results and messages are those of Lua 5.4.
local kernel = ...

local c_sort, c_insert, c_remove, c_move, c_concat = table.sort, table.insert, table.remove, table.move, table.concat
local type, error, select, format, getmetatable = type, error, select, string.format, debug.getmetatable
local math_type, tointeger, tonumber, find, pcall = math.type, math.tointeger, tonumber, string.find, pcall
local error_text = kernel.error_text

--- Elements that C may move or sort in one call; about 10 ms for a sort.
local MOST_IN_C = 50000

--- Length of an array beyond which its length is taken for a lie.
local LONGEST_ARRAY = 1 << 27

--- Length of the longest string that one call may make, as for string.rep.
local LONGEST_STRING = 64 * 1024 * 1024

local function check_table(value, name, position)
  if type(value) ~= "table" then
    error(format("bad argument #%d to '%s' (table expected, got %s)", position or 1, name, kernel.type(value)), 3)
  end
end

local function check_integer(value, name, position)
  local integer = math_type(value) == "integer" and value or tointeger(tonumber(value))
  if not integer then
    local problem = math_type(value) and "number has no integer representation"
      or "number expected, got " .. kernel.type(value)
    error(format("bad argument #%d to '%s' (%s)", position, name, problem), 3)
  end
  return integer
end

-- sort: the quicksort of ltablib.c, so that equal elements end up in the same order ---------------------------------------

local function by_value(a, b)
  return a < b
end

-- Sorts list[low..high]; returns false if `less` contradicts itself.
local function sort_range(list, low, high, less, salt)
  while low < high do
    local a, b = list[low], list[high]
    if less(b, a) then
      list[low], list[high] = b, a
    end
    if high - low == 1 then
      break
    end
    local pivot = (low + high) // 2
    if high - low > 100 and salt ~= 0 then
      local quarter = (high - low) // 4
      pivot = salt % (quarter * 2) + low + quarter
    end
    a, b = list[pivot], list[low]
    if less(a, b) then
      list[pivot], list[low] = b, a
    else
      b = list[high]
      if less(b, a) then
        list[pivot], list[high] = b, a
      end
    end
    if high - low == 2 then
      break
    end
    local middle = list[pivot]
    list[pivot], list[high - 1] = list[high - 1], middle
    local i, j = low, high - 1
    while true do
      i = i + 1
      while less(list[i], middle) do
        if i == high - 1 then
          return false
        end
        i = i + 1
      end
      j = j - 1
      while less(middle, list[j]) do
        if j < i then
          return false
        end
        j = j - 1
      end
      if j < i then
        break
      end
      list[i], list[j] = list[j], list[i]
    end
    list[high - 1], list[i] = list[i], list[high - 1]
    local size
    if i - low < high - i then
      if not sort_range(list, low, i - 1, less, salt) then
        return false
      end
      size, low = i - low, i + 1
    else
      if not sort_range(list, i + 1, high, less, salt) then
        return false
      end
      size, high = high - i, i - 1
    end
    if (high - low) // 128 > size then
      salt = salt * 1103515245 + 12345 & 0x7fffffff -- partitions are lopsided: choose pivots elsewhere
      salt = salt == 0 and 1 or salt
    end
  end
  return true
end

local function sort(list, less)
  check_table(list, "sort")
  local size = #list
  if size < 2 then
    return
  elseif less == nil then
    if size <= MOST_IN_C and getmetatable(list) == nil and type(list[1]) ~= "table" then
      return c_sort(list)
    end
    less = by_value
  elseif type(less) ~= "function" then
    error(format("bad argument #2 to 'sort' (function expected, got %s)", kernel.type(less)), 2)
  end
  if size > LONGEST_ARRAY then
    error("bad argument #1 to 'sort' (array too big)", 2)
  end
  if not sort_range(list, 1, size, less, 0) then
    error("invalid order function for sorting", 2)
  end
end

-- insert, remove, move ----------------------------------------------------------------------------------------------------

-- table.move in Lua; the ranges are known to be sane.
local function shift(source, from, to, at, target)
  if at > to or at <= from or source ~= target then
    for i = 0, to - from do
      target[at + i] = source[from + i]
    end
  else
    for i = to - from, 0, -1 do
      target[at + i] = source[from + i]
    end
  end
end

local function check_count(count)
  if count > LONGEST_ARRAY then
    error("too many elements to move", 3)
  end
end

local function insert(list, ...)
  local n = select("#", ...)
  check_table(list, "insert")
  local behind = #list + 1
  if n == 1 then
    list[behind] = (...)
    return
  elseif n ~= 2 then
    error("wrong number of arguments to 'insert'", 2)
  end
  local at, value = ...
  at = check_integer(at, "insert", 2)
  if at < 1 or at > behind then
    error("bad argument #2 to 'insert' (position out of bounds)", 2)
  end
  if behind - at <= MOST_IN_C and getmetatable(list) == nil then
    return c_insert(list, at, value)
  end
  check_count(behind - at)
  shift(list, at, behind - 1, at + 1, list)
  list[at] = value
end

local function remove(list, at)
  check_table(list, "remove")
  local size = #list
  if at == nil then
    at = size
  else
    at = check_integer(at, "remove", 2)
    if at ~= size and (at < 1 or at > size + 1) then
      error("bad argument #2 to 'remove' (position out of bounds)", 2)
    end
  end
  if size - at <= MOST_IN_C and getmetatable(list) == nil then
    return c_remove(list, at)
  end
  check_count(size - at)
  local value = list[at]
  if at < size then
    shift(list, at + 1, size, at, list)
    at = size
  end
  list[at] = nil
  return value
end

local function move(source, from, to, at, target)
  check_table(source, "move")
  from, to, at = check_integer(from, "move", 2), check_integer(to, "move", 3), check_integer(at, "move", 4)
  if target == nil then
    target = source
  end
  check_table(target, "move", 5)
  if to < from then
    return target
  end
  local count = to - from + 1
  if from <= 0 and to >= math.maxinteger + from then
    error("bad argument #3 to 'move' (too many elements to move)", 2)
  elseif at > math.maxinteger - count + 1 then
    error("bad argument #4 to 'move' (destination wrap around)", 2)
  elseif count <= MOST_IN_C and getmetatable(source) == nil and getmetatable(target) == nil then
    return c_move(source, from, to, at, target)
  end
  check_count(count)
  shift(source, from, to, at, target)
  return target
end

-- concat ------------------------------------------------------------------------------------------------------------------

local function has_float(list, from, to)
  for i = from, to do
    if math_type(list[i]) == "float" then
      return true
    end
  end
  return false
end

local function join(list, separator, from, to)
  local parts, count, size = {}, 0, 0
  for i = from, to do
    local value = list[i]
    if math_type(value) then
      value = kernel.tostring(value)
    else
      value = error_text(value)
      if type(value) ~= "string" then
        error(format("invalid value (%s) at index %d in table for 'concat'", kernel.type(value), i), 2)
      end
    end
    count = count + 1
    parts[count] = value
    size = size + #value + #separator
    if size > LONGEST_STRING then
      error("resulting string too large", 2)
    end
  end
  return c_concat(parts, separator)
end

--- table.concat; integral floats are written without ".0", Errors count as their message, a payload as what it holds.
local function concat(list, separator, from, to)
  list = kernel.payload_table(list) or list
  check_table(list, "concat")
  separator = separator == nil and "" or separator
  if type(separator) ~= "string" then
    if not math_type(separator) then
      error(format("bad argument #2 to 'concat' (string expected, got %s)", kernel.type(separator)), 2)
    end
    separator = kernel.tostring(separator)
  end
  from = from == nil and 1 or check_integer(from, "concat", 3)
  to = to == nil and #list or check_integer(to, "concat", 4)
  if to - from < MOST_IN_C and getmetatable(list) == nil then
    local ok, result = pcall(c_concat, list, separator, from, to)
    if ok and (not find(result, ".", 1, true) or not has_float(list, from, to)) then
      return result
    end
  end
  return join(list, separator, from, to)
end

kernel.tables = { concat = concat, insert = insert, move = move, remove = remove, sort = sort }
