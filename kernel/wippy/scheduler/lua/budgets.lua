--- Budgets: what a task may use before it blocks, and what happens to those that use more.
--
-- They are looked at where a task is preempted, so a program that stays below a slice pays nothing for them.
local kernel = ...

local new_error, format = kernel.new_error, string.format

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

--- Give back what a task holds whose VM has no memory left, and return the Error it fails with. What it held is on its
-- stack, so that goes first: nothing can be made before.
function kernel.reclaim(task)
  coroutine.close(task.co)
  collectgarbage()
  return new_error(format("%s ran out of memory: its VM has reached its limit", task.proc.entry), "Internal", false)
end

--- The kernel's own code failed, most likely for lack of memory: end the process that was running.
function kernel.panic(message)
  local S = kernel.state
  local task, proc = S.task, S.proc
  kernel.end_slice()
  S.task, S.proc = nil, nil
  if task and not task.dead and proc ~= kernel.system then
    local err = kernel.reclaim(task)
    kernel.exit(proc, nil, message == "not enough memory" and err or new_error(message, "Internal", false))
  end
end
