--- The coroutine library that user code sees, on the same coroutines that the scheduler switches.
--
-- A user's coroutine may block (receive, sleep, call) at any depth: the wait passes outward to the task, and what it
-- gives passes back inward. What the user's own yield carries is marked USER, so the three kinds of yield (the user's,
-- a wait, a preemption) are told apart.
local kernel = ...

local yield, create, running, status = coroutine.yield, coroutine.create, coroutine.running, coroutine.status
local close, is_yieldable, error, type, setmetatable = coroutine.close, coroutine.isyieldable, error, type, setmetatable
local S, BLOCK = kernel.state, kernel.BLOCK
local USER = {}

-- Coroutines made by user code -> the process that made them. The scheduler's own must not be resumed by users.
local owner = setmetatable({}, { __mode = "k" })

local function receive_from(co, ok, tag, ...)
  if not ok then
    return false, tag
  elseif tag == USER then
    return true, ...
  elseif tag == BLOCK then
    return receive_from(co, kernel.resume(co, yield(BLOCK)))
  end
  if is_yieldable() then
    yield() -- preempted: let others run, then go on inside
  end
  return receive_from(co, kernel.resume(co))
end

local library = {}

function library.create(fn)
  if type(fn) ~= "function" then
    error("bad argument #1 to 'create' (function expected)", 2)
  end
  local co = create(function(...)
    return USER, fn(...)
  end)
  owner[co] = S.proc
  return co
end

function library.resume(co, ...)
  if type(co) ~= "thread" then
    error("bad argument #1 to 'resume' (coroutine expected)", 2)
  end
  if owner[co] ~= S.proc then
    return false, "cannot resume a coroutine of another owner"
  end
  return receive_from(co, kernel.resume(co, ...))
end

local function unwrap(ok, ...)
  if ok then
    return ...
  end
  error((...), 0)
end

function library.wrap(fn)
  local co = library.create(fn)
  return function(...)
    return unwrap(library.resume(co, ...))
  end
end

function library.yield(...)
  if running() == S.task.co then
    error("attempt to yield from outside a coroutine", 2)
  end
  return yield(USER, ...)
end

function library.running()
  local co = running()
  return co, co == S.task.co
end

function library.isyieldable()
  return is_yieldable() and running() ~= S.task.co
end

function library.status(co)
  return status(co)
end

function library.close(co)
  if owner[co] ~= S.proc then
    error("cannot close a coroutine of another owner", 2)
  end
  local state = status(co)
  if state == "suspended" or state == "dead" then
    return kernel.close_coroutine(co)
  end
  return close(co) -- raises
end

--- coroutine.spawn (manual page lua/core/base): a task of the same process that may use channels.
function library.spawn(fn, ...)
  if type(fn) ~= "function" then
    error("bad argument #1 to 'spawn' (function expected)", 2)
  end
  kernel.spawn_task(S.proc, fn, { n = select("#", ...), ... })
end

kernel.coroutine_library = library
