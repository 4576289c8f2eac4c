--- Values: what may pass between processes, and the deep copy that keeps them apart.
--
-- Reference, "payload copy": deep; Errors kept; other userdata becomes nil; a table with an array part becomes an array
-- (string keys dropped), otherwise a map.
local kernel = ...

local type, next, getmetatable, error = type, next, debug.getmetatable, error
local new_error = kernel.new_error
local error_class = kernel.error_class
local class_of, view = kernel.class_of, kernel.view
local empty_map, is_empty_map = kernel.empty_map, kernel.is_empty_map

local MAX_DEPTH = 128

-- class -> function(value) that gives a copy fit for another process; classes not listed do not travel.
local travellers = {}

--- Let handles of a class pass between processes.
function kernel.travels(class, copy)
  travellers[class] = copy
end

local copy_table

local function copy(value, depth)
  local kind = type(value)
  if kind == "table" then
    return copy_table(value, depth)
  elseif kind == "string" or kind == "number" or kind == "boolean" then
    return value
  end
  return nil -- functions and coroutines stay where they are
end

function copy_table(source, depth)
  if depth > MAX_DEPTH then
    error(new_error("value is nested deeper than " .. MAX_DEPTH .. " levels, or contains itself", "Invalid"), 0)
  end
  local metatable = getmetatable(source)
  if metatable then
    local class = class_of(source)
    if class and class.typename ~= "table" then
      local traveller = travellers[class]
      return traveller and traveller(source, depth)
    end
    if is_empty_map(source) then
      return empty_map()
    end
    source = view(source)
  end
  local result = {}
  local first = source[1]
  if first ~= nil then
    local n = #source
    for i = 1, n do
      local value = source[i]
      if type(value) == "table" then
        value = copy_table(value, depth + 1)
      elseif type(value) == "function" or type(value) == "thread" then
        value = nil
      end
      result[i] = value
    end
    return result
  end
  for key, value in next, source do
    local key_type = type(key)
    if key_type == "string" or key_type == "number" or key_type == "boolean" then
      local value_type = type(value)
      if value_type == "table" then
        value = copy_table(value, depth + 1)
      elseif value_type == "function" or value_type == "thread" then
        value = nil
      end
      result[key] = value
    end
  end
  return result
end

--- Deep-copy a value for another process; raises an Error(Invalid) for what is too deep or contains itself.
function kernel.copy(value)
  return copy(value, 1)
end

kernel.travels(error_class, function(err, depth)
  local message, kind, retryable, details, stack = kernel.error_fields(err)
  return new_error(message, kind, retryable, copy(details, depth + 1), stack)
end)
