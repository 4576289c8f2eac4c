--- Module ctx: the context values that a call or a spawn brought along. What it returns are copies.
local kernel = ...

local S, copy, new_error, type = kernel.state, kernel.copy, kernel.new_error, type

--- The value of a key; nil, Error(NotFound) where there is none.
local function get(key)
  if type(key) ~= "string" or key == "" then
    local what = key == "" and "an empty string" or kernel.type(key)
    return nil, new_error("ctx.get: key must be a string that is not empty, got " .. what, "Invalid", false)
  end
  local proc = S.proc
  if not proc then
    return nil, new_error("ctx.get: no execution context", "Internal", false)
  end
  local context = proc.context
  local value = context and context[key]
  if value == nil then
    return nil, new_error('ctx.get: key "' .. key .. '" not found', "NotFound", false)
  end
  return copy(value)
end

--- All values as a table, which is empty where there are none.
local function all()
  local proc = S.proc
  if not proc then
    return nil, new_error("ctx.all: no execution context", "Internal", false)
  end
  local context = proc.context
  if not context or next(context) == nil then
    return kernel.empty_map()
  end
  return copy(context)
end

return { get = get, all = all }
