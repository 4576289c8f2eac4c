--- Spawning: hosts, placement, and what crosses workers when a process starts somewhere else.
local kernel = ...

local S = kernel.state
local new_error, format, next = kernel.new_error, string.format, next

--- Host records by id, the same on every worker: id, workers (their indexes), limited (max_processes is set), limits,
-- provider (a Python command that finds the worker instead).
local hosts = {}

function kernel.signal_handlers.host(id, record)
  hosts[id] = record
  local limit
  if record and not record.provider then
    for _, worker in next, record.workers do
      limit = limit or (worker == kernel.worker_index and record.memory_limit or nil)
    end
  end
  kernel.set_host_memory_limit(id, limit)
end

-- Where the lightest load was when the current slice began; Python says so with every slice.
local turn = 0

-- A process stays with its parent unless that worker is clearly busier; calls from the event loop go round.
local NEIGHBOURS = 8

local function place(host)
  local workers = host.workers
  if #workers == 1 then
    return workers[1]
  end
  local here = kernel.worker_index
  for i = 1, #workers do
    if workers[i] == here then
      if kernel.process_count() <= S.lightest_load + NEIGHBOURS then
        return here
      end
      return S.lightest
    end
  end
  turn = turn % #workers + 1
  return workers[turn]
end

--- What of a process record a spawned one inherits, in a form that crosses workers.
local function inherited(proc, options)
  local context = proc.context
  if options.context then
    context = kernel.merge_context(context, options.context)
  end
  return {
    context = context,
    actor = options.actor or proc.actor,
    scope = options.scope or proc.scope,
    monitor = options.monitored and kernel.pid_of(proc) or nil,
    link = options.linked and kernel.pid_of(proc) or nil,
    name = options.name,
    messages = options.messages,
    from = kernel.pid_of(proc),
  }
end

local function start(code, host, args, plain, reply, waiter)
  local pid, proc = kernel.spawn_here(code, host, args, plain)
  if plain.security or code.security then
    kernel.assume_identity(proc, plain.security or code.security)
  end
  proc.reply, proc.waiter = reply, waiter
  if plain.name then
    local ok, err = kernel.register_name(plain.name, pid)
    if not ok then
      proc.reply = nil
      kernel.exit(proc, nil, err)
      return nil, err
    end
  end
  if plain.link then
    kernel.tell_link(plain.link, pid) -- before the child can fail, so that the parent hears of that
  end
  for _, message in next, plain.messages or {} do
    kernel.receive_message(pid, plain.from, message.topic, message.n, table.unpack(message, 1, message.n))
  end
  return pid
end

local function process_code(id)
  local code, err = kernel.load_code(id)
  if not code then
    return nil, err
  end
  if code.kind ~= "process" then
    return nil, new_error(format("%s is a %s, not a process", id, code.kind), "Invalid", false)
  end
  return code
end

local function take_place(host)
  if host.limited and not kernel.claim_place(host.id) then
    return nil, new_error(format("host %s is full (max_processes)", host.id), "RateLimited", true)
  end
  return true
end

--- Spawn a process of entry `id` on host `host_id`. `args` is packed and belongs to the new process.
-- `options`: context, actor, scope, name, messages, monitored, linked. Returns its pid, or nil and an Error.
function kernel.spawn(id, host_id, args, options)
  local host = hosts[host_id]
  if not host then
    return nil, new_error(format("process host %s not found, or not running", host_id), "NotFound", false)
  end
  local plain = inherited(S.proc, options)
  local code, err = process_code(id)
  if not code then
    return nil, err
  end
  local ok
  ok, err = take_place(host)
  if not ok then
    return nil, err
  end
  if host.provider then
    return kernel.command(host.provider, id, host_id, args, plain)
  end
  local worker = place(host)
  if worker == kernel.worker_index then
    return start(code, host, args, plain)
  end
  return kernel.request(worker, "spawn", id, host_id, args, plain)
end

-- The host and code for a request of another worker, which took a place: it goes back when nothing will start.
local function prepare(id, host_id)
  local host = hosts[host_id]
  if not host then
    kernel.release_place(host_id)
    return nil, new_error(format("process host %s not found, or not running", host_id), "NotFound", false)
  end
  local code, err = process_code(id)
  if not code then
    if host.limited then
      kernel.release_place(host_id)
    end
    return nil, err
  end
  return host, code
end

kernel.may_wait.spawn = true
function kernel.requests.spawn(id, host_id, args, plain)
  local host, code = prepare(id, host_id)
  if not host then
    return nil, code
  end
  return start(code, host, args, plain)
end

-- exec: spawn and wait for the result --------------------------------------------------------------------------------

kernel.may_wait.exec = true
function kernel.requests.exec(id, host_id, args, plain)
  local host, code = prepare(id, host_id)
  if not host then
    return nil, code
  end
  local S_task = S.task
  local ok, err
  ok, err = start(code, host, args, plain, function(proc, value, failure)
    kernel.ready(proc.waiter, value, failure)
  end, S_task)
  if not ok then
    return nil, err
  end
  return kernel.block()
end

--- Spawn a process, wait for it, and return its result or error. Ending the caller ends it.
function kernel.exec(id, host_id, args, options)
  local me = S.proc
  local host = hosts[host_id]
  if not host then
    return nil, new_error(format("process host %s not found, or not running", host_id), "NotFound", false)
  end
  local plain = inherited(me, options)
  local code, err = process_code(id) -- first: while code loads the caller may end, and would never give the place back
  if not code then
    return nil, err
  end
  local ok
  ok, err = take_place(host)
  if not ok then
    return nil, err
  end
  if host.provider then
    return kernel.command(host.provider .. ".exec", id, host_id, args, plain)
  end
  local worker = place(host)
  if worker ~= kernel.worker_index then
    return kernel.request(worker, "exec", id, host_id, args, plain)
  end
  me.pending = me.pending + 1
  local value
  value, err = kernel.requests.exec(id, host_id, args, plain)
  me.pending = me.pending - 1
  return value, err
end

--- A call of a process entry runs it on its default host.
function kernel.call_process(code, args, options)
  if not code.default_host then
    return nil, new_error(code.id .. " is a process: calling it needs meta.default_host", "Invalid", false)
  end
  return kernel.exec(code.id, code.default_host, args, options or {})
end
