--- The global `errors` (manual page lua/core/errors; decisions 3 and 14 of the reference): new, wrap, is, call_stack,
-- and a constant for every kind. Error objects themselves are the kernel's.
local kernel = ...

local next, type, tonumber = next, type, tonumber
local find, gmatch, match = string.find, string.gmatch, string.match
local new_error, is_error, error_fields = kernel.new_error, kernel.is_error, kernel.error_fields
local error_text, kind_named = kernel.error_text, kernel.kind_named

local function text_of(value, position, name)
  value = error_text(value)
  if type(value) == "number" then
    return kernel.tostring(value)
  elseif type(value) ~= "string" then
    error("bad argument #" .. position .. " to '" .. name .. "' (string expected, got " .. kernel.type(value) .. ")", 3)
  end
  return value
end

local function from_table(fields)
  local message, kind, retryable, details = error_text(fields.message), fields.kind, fields.retryable, fields.details
  if type(message) ~= "string" then
    error("bad argument #1 to 'new' (field 'message' must be a string, got " .. kernel.type(message) .. ")", 3)
  elseif kind ~= nil and type(kind) ~= "string" then
    error("bad argument #1 to 'new' (field 'kind' must be a string, got " .. kernel.type(kind) .. ")", 3)
  elseif retryable ~= nil and type(retryable) ~= "boolean" then
    error("bad argument #1 to 'new' (field 'retryable' must be a boolean, got " .. kernel.type(retryable) .. ")", 3)
  elseif details ~= nil and (type(details) ~= "table" or not kernel.is_plain(details)) then
    error("bad argument #1 to 'new' (field 'details' must be a table, got " .. kernel.type(details) .. ")", 3)
  end
  if details then
    details = next(kernel.view(details)) ~= nil and kernel.copy(details) or nil
  end
  return new_error(message, kind, retryable, details, kernel.stack(nil, 2))
end

local errors = {}

--- new(message), new{message=, kind=, retryable=, details=} or new(kind, message).
function errors.new(first, message)
  if message ~= nil then
    return new_error(text_of(message, 2, "new"), text_of(first, 1, "new"), nil, nil, kernel.stack())
  elseif is_error(first) then
    local text, kind, retryable, details = error_fields(first)
    return new_error(text, kind, retryable, details, kernel.stack())
  elseif type(first) == "table" and kernel.is_plain(first) then
    return (from_table(first)) -- no tail call: the levels of its errors count on this frame
  end
  return new_error(text_of(first, 1, "new"), "", nil, nil, kernel.stack())
end

--- The same error with a context for people, which its stack shows; nil for nil.
function errors.wrap(err, context)
  if err == nil then
    return nil
  end
  return kernel.wrap_error(err, context == nil and "" or text_of(context, 2, "wrap"), 2)
end

--- Whether a value is an Error of this kind.
function errors.is(err, kind)
  if not is_error(err) then
    return false
  end
  local _, found = error_fields(err)
  return found == kind_named(kind)
end

-- Call stacks ---------------------------------------------------------------------------------------------------------

-- "file.lua:12: in function 'name'", as debug.traceback writes it.
local function frame_of(line, level)
  local source, number, what = match(line, "^%s*(.-):(%d+): in (.*)$")
  if not source then
    return nil
  end
  local is_main = find(what, "^main chunk") ~= nil
  return {
    level = level,
    source = source,
    line = tonumber(number),
    name = is_main and "main chunk" or match(what, "'(.-)'") or "?",
    type = is_main and "main" or "Lua",
  }
end

--- The call stack of an Error, nil where it has none; without an argument that of the caller.
-- A table of `thread` and `frames`, each with level, source, line, name and type; the innermost first.
function errors.call_stack(err)
  local proc, task = kernel.state.proc, kernel.state.task
  local thread = proc and proc.main == task and "main" or "coroutine"
  if err == nil then
    return { thread = thread, frames = kernel.call_frames(2) }
  elseif not is_error(err) then
    return nil
  end
  local frames = {}
  for line in gmatch(err:stack(), "[^\n]+") do
    frames[#frames + 1] = frame_of(line, #frames)
  end
  return #frames > 0 and { thread = thread, frames = frames } or nil
end

for name, kind in next, kernel.error_kinds do
  errors[name] = kind
end

return errors
