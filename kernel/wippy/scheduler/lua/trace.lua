--- The trace of a VM (tests only): a line of text for every spawn, send, deliver, run, exit, event, monitor, link and
-- timer. It replaces functions of the kernel, so a VM without it pays nothing. Needs exploration.lua.
--
-- Returns a function that gives the lines since its last call, joined by newlines.
local kernel = ...

local S, format, tostring = kernel.state, string.format, tostring
local lines, count = {}, 0

--- Write a line; plugins and tests may add their own.
function kernel.trace(...)
  count = count + 1
  lines[count] = format(...)
end
local trace = kernel.trace

-- Asking a process for its pid would give it one, and that would change the run.
local function name(proc)
  return proc.pid or proc.entry or "?"
end

local function outcome(err)
  return err == nil and "ok" or kernel.error_text(err)
end

local resume = kernel.resume
function kernel.resume(co, ...)
  local task = S.task
  if task and task.co == co then -- not a coroutine of a program's own
    trace("run %s", name(task.proc))
  end
  return resume(co, ...)
end

local spawn_here = kernel.spawn_here
function kernel.spawn_here(code, ...)
  local pid, proc = spawn_here(code, ...)
  trace("spawn %s %s", pid, code.id)
  return pid, proc
end

local send = kernel.send
function kernel.send(dest, topic, ...)
  trace("send %s -> %s %s", name(S.proc), tostring(dest), topic)
  return send(dest, topic, ...)
end

kernel.replace_local(send, "deliver", function(deliver)
  return function(proc, message, force)
    local kept = deliver(proc, message, force)
    trace("deliver %s %s %s", name(proc), message:topic(), kept and "kept" or "full")
    return kept
  end
end)

kernel.replace_local(kernel.exit, "tell_relations", function(tell_relations)
  return function(proc, value, err)
    trace("exit %s %s", name(proc), outcome(err))
    return tell_relations(proc, value, err)
  end
end)

kernel.replace_local(kernel.remote_exited, "emit", function(emit)
  return function(proc, event)
    trace("event %s %s %s", name(proc), event.kind, tostring(event.from))
    return emit(proc, event)
  end
end)

for _, operation in ipairs({ "monitor", "unmonitor", "link", "unlink", "cancel", "terminate" }) do
  local control = kernel.control[operation]
  kernel.control[operation] = function(pid, other, ...)
    trace("%s %s %s", operation, pid, tostring(other))
    return control(pid, other, ...)
  end
end

local set_timer = kernel.set_timer
function kernel.set_timer(delay, fire, proc)
  local who = proc and name(proc) or "-"
  trace("timer %s %.9g", who, delay)
  return set_timer(delay, function(timer)
    trace("fire %s", who)
    return fire(timer)
  end, proc)
end

return function()
  local text = table.concat(lines, "\n", 1, count)
  lines, count = {}, 0
  return text
end
