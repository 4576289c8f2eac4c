--- Tasks: the coroutines of processes, and the loop that runs them.
--
-- A task runs until it blocks, ends, or is preempted. The loop works in passes: what becomes runnable during a pass runs
-- in the next one, so nobody starves and the order is first come, first served.
local kernel = ...

local yield, create = coroutine.yield, coroutine.create
local unpack = table.unpack

--- State that every chunk of the kernel shares. `task` and `proc` are what runs now.
local S = { task = nil, proc = nil, preempted = false, switches = 0 }
kernel.state = S

-- Resume and close a coroutine so that preemption knows what runs; wippy.scheduler.preempt replaces them.
kernel.resume, kernel.close_coroutine = coroutine.resume, coroutine.close

-- What a coroutine of ours yields first. A preempted coroutine yields nothing at all.
local BLOCK, DONE = {}, {}
kernel.BLOCK, kernel.DONE = BLOCK, DONE

-- What a preempted task is made runnable with: it tells a computation that goes on from one that begins.
local PREEMPTED = {}

-- Invariant: a task that waits is in neither list; a runnable one is in exactly one of them, once.
local pass, size, position = {}, 0, 1
local following, count = {}, 0

--- Make a waiting task runnable; it gets up to three values from its wait.
local function ready(task, a, b, c)
  task.a, task.b, task.c = a, b, c
  count = count + 1
  following[count] = task
end
kernel.ready = ready

--- Wait until somebody calls ready on the current task; returns what they gave.
local function block()
  return yield(BLOCK)
end
kernel.block = block

-- Coroutines are expensive to make (0.4 us and 1 KB), so one that finished its function serves the next.
local idle, idle_count = {}, 0
local IDLE_LIMIT = 256

local function body(fn, args)
  while true do
    if args then
      fn, args = yield(DONE, fn(unpack(args, 1, args.n)))
    else
      fn, args = yield(DONE, fn())
    end
  end
end

--- Start a task of `proc` that calls fn(unpack(args)); `on_end(task, ok, value, err)` hears how it ended.
function kernel.start_task(proc, fn, args, on_end)
  local co
  if idle_count > 0 then
    co = idle[idle_count]
    idle[idle_count] = nil
    idle_count = idle_count - 1
  else
    co = create(body)
  end
  local task = { co = co, proc = proc, on_end = on_end }
  task.task = task -- a plain wait and a select case are queued alike: both have `.task`
  ready(task, fn, args)
  return task
end

-- Processes that blocked with nothing pending that could wake them; looked at when nothing else is runnable.
-- They stand in a list, each once: the order of a table's keys would differ from run to run.
local suspects, suspect_count = {}, 0

local function ended(task, ok, value, err)
  if ok and idle_count < IDLE_LIMIT then
    idle_count = idle_count + 1
    idle[idle_count] = task.co
  end
  if not task.dead then
    task.dead = true
    task.on_end(task, ok, value, err)
  end
end

--- Run tasks until none is runnable, `limit` switches were made, or `clock()` passes `deadline` (0: no deadline).
-- Returns true while something is still runnable. A preempted task ends the slice: its time was everybody's.
-- A test may set kernel.reorder(pass, size), which permutes the tasks of a pass as it begins.
function kernel.run(limit, clock, deadline)
  local resume, cpu_clock, reorder = kernel.resume, kernel.cpu_clock, kernel.reorder
  local switches = 0
  local resumed_at -- processor time at which the current task went on, if it had been preempted
  S.preempted = false
  if kernel.memory_limit then
    limit = kernel.watch_memory(limit)
  end
  while true do
    if position > size then
      if count == 0 then
        break
      end
      pass, following = following, pass
      size, count, position = count, 0, 1
      if reorder then
        reorder(pass, size)
      end
    end
    local task = pass[position]
    pass[position] = nil
    position = position + 1
    if not task.dead then
      switches = switches + 1
      S.task, S.proc = task, task.proc
      local a = task.a
      if a == PREEMPTED then
        resumed_at = cpu_clock()
      end
      local ok, what, value, err = resume(task.co, a, task.b, task.c)
      if what == BLOCK then
        local proc = task.proc
        if proc.pending == 0 and not proc.subscribed and not proc.suspect then
          proc.suspect = true
          suspect_count = suspect_count + 1
          suspects[suspect_count] = proc
        end
      elseif not ok then
        if what == "not enough memory" then
          what = kernel.reclaim(task)
        end
        ended(task, false, kernel.killed() and kernel.stall_error(task.proc) or what)
      elseif what == DONE then
        ended(task, true, value, err)
      else
        local used = a == PREEMPTED and cpu_clock() - resumed_at or kernel.quantum
        task.cpu = a == PREEMPTED and task.cpu + used or used
        kernel.note_computing(task)
        if not task.dead then
          ready(task, PREEMPTED)
        end
        S.preempted = true
        break
      end
      if switches >= limit or (deadline > 0 and switches % 16 == 0 and clock() >= deadline) then
        break
      end
    end
  end
  kernel.end_slice()
  if kernel.memory_limit and switches > 0 then
    kernel.enforce_memory_limit(S.proc, switches)
  end
  S.task, S.proc = nil, nil
  S.switches = S.switches + switches
  return count > 0 or position <= size
end

--- Return the processes that can never run again: everything they have is blocked and nothing is pending.
-- Only meaningful while no task is runnable.
function kernel.stalled()
  local found = {}
  for i = 1, suspect_count do
    local proc = suspects[i]
    suspects[i], proc.suspect = nil, nil
    if not proc.ended and proc.pending == 0 and not proc.subscribed then
      found[#found + 1] = proc
    end
  end
  suspect_count = 0
  return found
end
