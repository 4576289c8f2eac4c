--- Rows: from packed columns (packing.py describes the form) to an array of maps.
local kernel = ...

local plugin = kernel.plugin_sql

local unpack, sub, format, concat = string.unpack, string.sub, string.format, table.concat
local load, tointeger = load, math.tointeger

local FORMATS = { i = "i8", d = "d", I = "I4" }

-- Eight values a call: the calls, not the bytes, are what costs.
local function numbers(source, at, count, code)
  local one = "<" .. FORMATS[code]
  local eight = "<" .. FORMATS[code]:rep(8)
  local values, i = {}, 1
  while i + 7 <= count do
    local a, b, c, d, e, f, g, h
    a, b, c, d, e, f, g, h, at = unpack(eight, source, at)
    values[i], values[i + 1], values[i + 2], values[i + 3] = a, b, c, d
    values[i + 4], values[i + 5], values[i + 6], values[i + 7] = e, f, g, h
    i = i + 8
  end
  while i <= count do
    values[i], at = unpack(one, source, at)
    i = i + 1
  end
  return values, at
end

local readers = {}

function readers.i(source, at, count)
  return numbers(source, at, count, "i")
end

function readers.d(source, at, count)
  local values, following = numbers(source, at, count, "d")
  for i = 1, count do
    local value = values[i]
    values[i] = tointeger(value) or value
  end
  return values, following
end

function readers.s(source, at, count)
  local values, start = numbers(source, at, count, "I")
  for i = 1, count do
    local following = start + values[i]
    values[i] = sub(source, start, following - 1)
    start = following
  end
  return values, start
end

function readers.m(source, at)
  local packed, following = unpack("<s4", source, at)
  return kernel.unpack(packed), following
end

-- A table constructor with its keys written out makes a row at once, without growing: compiled once per list of columns.
-- The number of columns is bounded by Lua's 200 local variables; wider rows are filled key by key.
local WIDEST = 150
local builders, kept = {}, 0
local MOST_KEPT = 500

local function fill(names, columns, count)
  local rows = {}
  for i = 1, count do
    local row = {}
    for k = 1, #names do
      row[names[k]] = columns[k][i]
    end
    rows[i] = row
  end
  return rows
end

local function compile(names)
  local locals, fields = {}, {}
  for k = 1, #names do
    locals[k] = "c" .. k
    fields[k] = format("[%q] = c%d[i]", names[k], k)
  end
  local list = concat(locals, ", ")
  local source = format(
    "local unpack = table.unpack return function(columns, count) local %s = unpack(columns) "
      .. "local rows = {} for i = 1, count do rows[i] = { %s } end return rows end",
    list, concat(fields, ", ")
  )
  return load(source, "=[kernel] sql rows", "t", { table = table })()
end

local function build(names, columns, count)
  if #names > WIDEST then
    return fill(names, columns, count)
  end
  local key = concat(names, "\0")
  local builder = builders[key]
  if not builder then
    if kept == MOST_KEPT then
      builders, kept = {}, 0
    end
    builder = compile(names)
    builders[key], kept = builder, kept + 1
  end
  return builder(columns, count)
end

--- Turn what a command answered into rows.
function plugin.rows(answer)
  if type(answer) ~= "string" then
    return answer
  end
  local count, width, at = unpack("<I4I4", answer)
  local names, columns = {}, {}
  for k = 1, width do
    local name, code, null_count, nulls
    name, code, null_count, at = unpack("<s4c1I4", answer, at)
    nulls, at = numbers(answer, at, null_count, "I")
    local values
    values, at = readers[code](answer, at, count)
    for i = 1, null_count do
      values[nulls[i]] = nil
    end
    names[k], columns[k] = name, values
  end
  return build(names, columns, count)
end
