--- Signals: what workers tell each other, always in the one encoded form, routed by Python without being read.
--
-- A signal is an operation with values. A request is a signal that gets a reply; the task that made it waits.
local kernel = ...

local S, post, ready, block = kernel.state, kernel.post, kernel.ready, kernel.block
local pack_values, unpack_values = kernel.pack_values, kernel.unpack_values
local select, unpack = select, table.unpack
local SIGNAL = kernel.ops.SIGNAL

--- Operations that ask for a reply; each returns value, err. Control operations of processes are among them.
local requests = setmetatable({}, { __index = kernel.control })
kernel.requests = requests

local handlers = {}
kernel.signal_handlers = handlers

local function signal(worker, op, ...)
  post(SIGNAL, worker, pack_values(select("#", ...) + 1, op, ...))
end
kernel.signal = signal

local waiting = {} -- request id -> task
local settles = {} -- request id -> function
local last_id = 0

--- Ask another worker; returns its value, err.
local function request(worker, op, ...)
  last_id = last_id + 1
  local id, proc = last_id, S.proc
  waiting[id] = S.task
  proc.pending = proc.pending + 1
  signal(worker, "request", kernel.worker_index, id, op, ...)
  return block()
end
kernel.request = request

--- Ask another worker; `settle(value, err)` is called the moment its reply arrives. What the next signal may speak of is
-- noted there: the task that waits runs later, or never if it has ended.
function kernel.request_and_note(settle, worker, ...)
  settles[last_id + 1] = settle
  return request(worker, ...)
end

function handlers.reply(id, value, err)
  local task = waiting[id]
  if task then
    waiting[id] = nil
    task.proc.pending = task.proc.pending - 1
    local settle = settles[id]
    if settle then
      settles[id] = nil
      settle(value, err)
    end
    ready(task, value, err)
  end
end

-- Requests that may wait (loading code, for one) run as tasks of a process of the kernel's own.
local system = { host = "kernel", entry = "kernel", pending = 0, subscribed = true }
kernel.system = system

local function answer(from, id, op, ...)
  local ok, value, err = pcall(requests[op], ...)
  if not ok then
    value, err = nil, kernel.to_error(value, "Internal")
  end
  ok, err = pcall(signal, from, "reply", id, value, err)
  if not ok then -- a value that cannot be encoded
    signal(from, "reply", id, nil, kernel.to_error(err, "Invalid"))
  end
end

function handlers.request(from, id, op, ...)
  if kernel.may_wait[op] then
    kernel.spawn_task(system, answer, { n = select("#", ...) + 3, from, id, op, ... })
  else
    answer(from, id, op, ...)
  end
end

--- Which requests may wait.
kernel.may_wait = {}

requests.send = kernel.receive_message

--- The pids of a host's processes on this worker.
function requests.processes(host)
  local pids = {}
  for pid, proc in next, kernel.procs do
    if proc.home and proc.host == host then
      pids[#pids + 1] = pid
    end
  end
  table.sort(pids)
  return pids
end

handlers.send = kernel.receive_signal

function handlers.crowded(pid)
  kernel.crowded[pid] = true
end

function handlers.exited(watcher, from, value, err)
  kernel.remote_exited(watcher, from, value, err)
end

handlers.linked = kernel.note_link

function handlers.link_down(pid, from, err)
  kernel.remote_link_down(pid, from, err)
end

function handlers.gone(pid)
  kernel.alive_elsewhere[pid] = nil
  kernel.crowded[pid] = nil
end

--- A name was taken (pid) or released (nil), anywhere on this node.
function handlers.name(name, pid)
  kernel.names[name] = pid
end

function kernel.handle_signal(data)
  local values = unpack_values(data)
  handlers[values[1]](unpack(values, 2, values.n))
end

-- Names: Python holds the truth under a lock; every worker has a copy that is changed in the order of signals. -------
kernel.names = {}

function kernel.register_name(name, pid)
  local holder = kernel.claim_name(name, pid)
  if holder ~= pid then
    return nil,
      kernel.new_error('name "' .. name .. '" is registered to another process, ' .. holder, "AlreadyExists", false)
  end
  kernel.names[name] = pid
  local proc = kernel.procs[pid]
  if proc then
    proc.names = proc.names or {}
    proc.names[name] = true
  end
  return true
end

function kernel.unregister_name(name)
  local pid = kernel.names[name]
  if not pid then
    return false
  end
  kernel.release_name(name, pid)
  kernel.names[name] = nil
  local proc = kernel.procs[pid]
  if proc and proc.names then
    proc.names[name] = nil
  end
  return true
end
