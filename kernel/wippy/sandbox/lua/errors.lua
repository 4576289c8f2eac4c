--- Error objects (manual page lua/core/errors): value class with slots message, kind, retryable, details, stack.
local kernel = ...

local getmetatable, setmetatable, rawset, type, tostring = debug.getmetatable, setmetatable, rawset, type, tostring
local concat = table.concat
local traceback, getinfo, sub, find, format = debug.traceback, debug.getinfo, string.sub, string.find, string.format

--- Frames beyond which a stack is not shown to its end.
local DEEP = 1000

local MESSAGE, KIND, RETRYABLE, DETAILS, STACK = 1, 2, 3, 4, 5

-- Constant name -> kind string; filled from wippy.errors.KINDS by the VM, so that there is one list.
local kinds = kernel.error_kinds

local methods = {}
local class

local function check(self, name)
  if getmetatable(self) ~= class then
    error("bad argument #1 to '" .. name .. "' (Error expected)", 3)
  end
  return self
end

function methods:message()
  return check(self, "message")[MESSAGE]
end

function methods:kind()
  return check(self, "kind")[KIND]
end

function methods:retryable()
  return check(self, "retryable")[RETRYABLE]
end

function methods:details()
  return check(self, "details")[DETAILS]
end

function methods:stack()
  return check(self, "stack")[STACK] or ""
end

local function text(value)
  if getmetatable(value) == class then
    return value[MESSAGE]
  end
  return value
end

class = kernel.value_class("Error", methods, {
  __tostring = function(self)
    return self[MESSAGE]
  end,
  __concat = function(a, b)
    return text(a) .. text(b)
  end,
  __len = function(self)
    return #self[MESSAGE]
  end,
  __eq = rawequal,
})
kernel.error_class = class
kernel.error_text = text

local function kind_named(name)
  return kinds[name] or name
end
kernel.kind_named = kind_named

function kernel.is_error(value)
  return getmetatable(value) == class
end

--- Make an Error. `stack` is text; kinds are kind strings or constant names.
local function new_error(message, kind, retryable, details, stack)
  return setmetatable({ message, kind_named(kind or ""), retryable, details, stack }, class)
end
kernel.new_error = new_error

--- Return the five fields of an Error.
function kernel.error_fields(err)
  return err[MESSAGE], err[KIND], err[RETRYABLE], err[DETAILS], err[STACK]
end

-- A stack shows the application's own frames: kernel chunks are named "=[kernel]..." and stay out.
local function user_stack(trace)
  local lines = {}
  for line in string.gmatch(trace, "[^\n]+") do
    if not find(line, "[kernel]", 1, true) and not find(line, "[C]: in ?", 1, true) then
      lines[#lines + 1] = line
    end
  end
  return concat(lines, "\n")
end

-- The innermost frames of a stack so deep that debug.traceback, which looks for its end, would take a second.
local function deep_stack(co)
  local lines = {}
  for level = 0, 20 do
    local info = getinfo(co, level, "Sln")
    lines[#lines + 1] = format("\t%s:%d: in function '%s'", info.short_src, info.currentline, info.name or "?")
  end
  lines[#lines + 1] = "\t..."
  return concat(lines, "\n")
end

--- The application's part of the stack of a coroutine (the running one if nil), from `level` up.
function kernel.stack(co, level)
  if co then
    return user_stack(getinfo(co, DEEP, "l") and deep_stack(co) or traceback(co))
  end
  return user_stack(traceback("", (level or 1) + 1))
end

--- Turn whatever was raised or returned as a failure into an Error; `kind` is that of a plain message.
function kernel.to_error(value, kind, stack)
  if getmetatable(value) == class then
    if stack and not value[STACK] then
      rawset(value, STACK, stack)
    end
    return value
  end
  if type(value) == "table" and kernel.is_plain(value) then
    local message = value.message
    if type(message) == "string" then
      return new_error(message, value.kind or kind, value.retryable, kernel.copy(value.details), stack)
    end
  end
  if type(value) == "table" then
    return new_error(kernel.safe_tostring(value), kind, nil, nil, stack)
  end
  return new_error(tostring(value), kind, nil, nil, stack)
end

--- tostring that survives a raising __tostring.
function kernel.safe_tostring(value)
  local ok, result = pcall(tostring, value)
  return ok and result or "(error object is a " .. type(value) .. " value)"
end

--- Frames of the running coroutine for errors.call_stack().
function kernel.call_frames(level)
  local frames = {}
  level = level + 1
  while true do
    local info = getinfo(level, "Slnt")
    if not info then
      return frames
    end
    if info.what ~= "C" and sub(info.source, 1, 9) ~= "=[kernel]" then
      frames[#frames + 1] = {
        level = #frames,
        source = info.short_src,
        line = info.currentline,
        name = info.name or (info.what == "main" and "main chunk") or "?",
        type = info.what,
      }
    end
    level = level + 1
  end
end

--- errors.wrap: same message, kind, retryable and details; the added context shows in the stack only.
function kernel.wrap_error(err, context, level)
  local base = kernel.to_error(err)
  local stack = base[STACK] or kernel.stack(nil, level + 1)
  return new_error(base[MESSAGE], base[KIND], base[RETRYABLE], base[DETAILS], context .. "\n" .. stack)
end
