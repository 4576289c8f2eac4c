--- Preemption without the native part: every coroutine has a count hook that looks at the clock.
--
-- The functions given here are those of _native.c. A hook written in Lua cannot yield, so `arm` has Python set one that
-- can (wippy.scheduler.counthook) for the next instruction.
local kernel, arm, cpu_clock = ...

local resume, close, running, tostring = coroutine.resume, coroutine.close, coroutine.running, tostring
local sethook, getinfo, sub, error = debug.sethook, debug.getinfo, string.sub, error
local S, monotonic = kernel.state, kernel.monotonic

local INTERVAL = 10000
local KERNEL_STALL_FACTOR = 4

local began -- when the slice began, or nil between slices
local long_task, long_since -- the task that was last found running at the end of its quantum, and since when
local killing, hard = false, false

local hooked = setmetatable({}, { __mode = "k" })

local function is_atomic()
  local source = getinfo(3, "S").source
  return sub(source, 1, 9) == "=[kernel]" and sub(source, 10, 10) ~= "~"
end

local function kill()
  if killing and (hard or not is_atomic()) then
    error("process ran too long where it cannot be interrupted", 0)
  end
end

local function look()
  local now = monotonic()
  if not began or now - began < kernel.quantum then
    return
  end
  local co = running()
  if long_task ~= S.task then
    long_task, long_since = S.task, cpu_clock()
  elseif cpu_clock() - long_since >= kernel.stall_limit then
    killing = true
    hard = cpu_clock() - long_since >= kernel.stall_limit * KERNEL_STALL_FACTOR
    hooked[co] = nil
    return sethook(co, kill, "", 1)
  end
  arm(tostring(co))
end

local function watch(co)
  if killing then
    hooked[co] = nil
    sethook(co, kill, "", 1)
  elseif not hooked[co] then
    hooked[co] = true
    sethook(co, look, "", INTERVAL)
  end
end

local function back(co, ...)
  if killing then
    watch(co)
  end
  return ...
end

function kernel.resume(co, ...)
  local outer, is_main = running()
  if is_main then
    killing, hard, long_task = false, false, nil
    began = began or monotonic()
    watch(co)
    return resume(co, ...)
  end
  watch(co)
  return back(outer, resume(co, ...))
end

function kernel.close_coroutine(co)
  watch(co)
  return back((running()), close(co))
end

function kernel.end_slice()
  began, long_task, killing = nil, nil, false
end

function kernel.killed()
  return killing
end

kernel.cpu_clock = cpu_clock
