--- Budgets: what a task may use before it blocks, and what happens to those that use more.
--
-- Processor time is looked at where a task is preempted, memory once a slice, so a program that stays below a slice pays
-- next to nothing for them.
local kernel = ...

local S, new_error, format = kernel.state, kernel.new_error, string.format
local collectgarbage = collectgarbage

--- Seconds of processor time that a task of this process may use without blocking, or nil. A process has the
-- `cpu_limit` of its host, a function call that of its entry.
local function cpu_limit(proc)
  local record = proc.home or proc.code
  return record and record.cpu_limit
end

--- What a task fails with that ran into the stall limit where it could not be preempted (_native.c).
function kernel.stall_error(proc)
  return new_error(format(
    "%s ran longer than %g s in a place that cannot be interrupted (a callback or metamethod called from C)",
    proc.entry, kernel.stall_limit), "Timeout", false)
end

-- Seconds of computing after which a function leaves the event loop's worker, from its next call on.
local HEAVY = 0.02

--- A task was preempted: end its process if it is over a limit.
function kernel.note_computing(task)
  local proc = task.proc
  if proc.pool and task.cpu > HEAVY then
    proc.code.heavy = true
  end
  local limit = cpu_limit(proc)
  if limit and task.cpu > limit then
    return kernel.exit(proc, nil, new_error(
      format("%s used more than its %g s of processor time without waiting for anything (cpu_limit)", proc.entry, limit),
      "Timeout", false))
  end
end

-- Memory --------------------------------------------------------------------------------------------------------------
--
-- A VM has one heap, so who holds how much of it is not known; what is known is who ran while it grew. Once the heap is
-- beyond the limit although everything unused was collected, slices have one task each, and the process whose slices
-- grow the heap most is ended. The limit of the allocator lies above this one, so the kernel itself still finds memory.

local own_limit = kernel.memory_limit
local host_limits = {} -- host id -> bytes

--- Set, or remove (nil), the memory limit that a host brings to this worker: the lowest of all is the VM's.
function kernel.set_host_memory_limit(id, limit)
  host_limits[id] = limit
  local lowest = own_limit
  for _, bytes in next, host_limits do
    if not lowest or bytes < lowest then
      lowest = bytes
    end
  end
  kernel.memory_limit = lowest
end

local crowded = false
local before = 0 -- KB in use when the slice began
local live = 0 -- KB in use after the last full collection
local grown = {} -- process -> KB by which the heap grew in its slices while it was crowded

--- How many tasks the slice that begins may run, given how many it would.
function kernel.watch_memory(limit)
  before = collectgarbage("count")
  return crowded and 1 or limit
end

--- Look at the heap at the end of a slice of so many tasks, of which `proc` had the last.
function kernel.enforce_memory_limit(proc, switches)
  local limit, used = kernel.memory_limit / 1024, collectgarbage("count")
  if used > limit and (not crowded or used > live + limit / 32) then
    collectgarbage()
    live = collectgarbage("count")
  end
  if used <= limit or live <= limit then
    crowded, grown = false, {}
    return
  end
  if crowded and switches == 1 and proc ~= kernel.system and not proc.ended and used > before then
    grown[proc] = (grown[proc] or 0) + used - before
    if grown[proc] > limit / 64 then
      live, grown = 0, {} -- collect at the end of the next slice
      kernel.exit(proc, nil, new_error(
        format("memory limit exceeded: %s took its VM beyond %.0f MB (memory_limit)", proc.entry, limit / 1024),
        "Internal", false))
    end
  end
  crowded = true
end

--- Give back what a task holds whose VM has no memory left, and return the Error it fails with. What it held is on its
-- stack, so that goes first: nothing can be made before.
function kernel.reclaim(task)
  kernel.close_coroutine(task.co)
  collectgarbage()
  return new_error(format("%s ran out of memory: its VM has reached its limit", task.proc.entry), "Internal", false)
end

--- The kernel's own code failed, most likely for lack of memory: end the process that was running.
function kernel.panic(message)
  local task, proc = S.task, S.proc
  S.task, S.proc = nil, nil
  if task and not task.dead and proc ~= kernel.system then
    local err = kernel.reclaim(task)
    kernel.exit(proc, nil, message == "not enough memory" and err or new_error(message, "Internal", false))
  end
  kernel.end_slice()
end
