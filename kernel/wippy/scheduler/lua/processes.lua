--- Processes: identity, mailbox, events, monitors, links, names, and how they end.
--
-- A process record's fields, most of them absent until used:
--   pid, host, entry       who it is; a function call gets its pid when something asks for it
--   main, tasks            the main task, and the tasks that coroutine.spawn made
--   instance               the loaded code and its globals (environment.lua)
--   inbox, events, topics  channel states; `inbox_open` once user code took the inbox
--   pending, subscribed    what could still wake it: counted operations, or a subscription (see tasks.lua)
--   monitors, links        pid -> true; names: name -> true
--   context, actor, scope  what calls and spawned processes inherit
--   reply, waiter          function(proc, value, err) that gets the result, and the task it is for
--   home, pool             the host record of a process, or the function pool of a call
--   followers              workers that cache that this pid is alive
local kernel = ...

local S, block, push = kernel.state, kernel.block, kernel.push
local sort, ipairs = table.sort, ipairs
local setmetatable, type, next, select, format, match = setmetatable, type, next, select, string.format, string.match
local getmetatable = debug.getmetatable
local new_error, to_error, is_error, copy = kernel.new_error, kernel.to_error, kernel.is_error, kernel.copy
local new_channel = kernel.new_channel
local HUGE = math.huge
local mailbox_limit = kernel.mailbox_limit - 1

local procs = {} -- pid -> process, the live ones of this worker
kernel.procs = procs
local process_count = 0

-- Order ---------------------------------------------------------------------------------------------------------------

local EMPTY = {}

--- Iterate over index and key of a table with string keys (or nil) in the order of the keys, or by `before`. The order
-- of `next` differs from run to run; whatever others can see must not.
local function in_order(set, before)
  if set == nil then
    return ipairs(EMPTY)
  end
  local keys, n = {}, 0
  for key in next, set do
    n = n + 1
    keys[n] = key
  end
  if n > 1 then
    sort(keys, before)
  end
  return ipairs(keys)
end
kernel.in_order = in_order

-- Pids ----------------------------------------------------------------------------------------------------------------

-- The number in a pid tells the worker: number = sequence * workers + worker + 1, so no table of pids is shared.
-- A worker that has the index of an earlier one counts from where that cannot have come.
local sequence = kernel.generation << 24

local function new_pid(host)
  local number = sequence * kernel.worker_count + kernel.worker_index + 1
  sequence = sequence + 1
  return format("{%s|0x%05x}", host, number)
end

--- Return worker index and host of a pid string, or nil if it is no pid.
local function locate(pid)
  local host, number = match(pid, "^{(.-)|0x(%x+)}$")
  if not host then
    return nil
  end
  return (tonumber(number, 16) - 1) % kernel.worker_count, host
end
kernel.locate = locate

--- The pid of a process; a function call becomes addressable the first time something asks.
local function pid_of(proc)
  local pid = proc.pid
  if not pid then
    pid = new_pid(proc.host)
    proc.pid = pid
    procs[pid] = proc
  end
  return pid
end
kernel.pid_of = pid_of

-- Messages ------------------------------------------------------------------------------------------------------------

local message_methods = {}
local TOPIC, FROM, VALUE, MORE = 1, 2, 3, 4
local message_class = kernel.value_class("Message", message_methods)

function message_methods.topic(self)
  return self[TOPIC]
end

function message_methods.from(self)
  return self[FROM]
end

function message_methods.payload(self)
  local more = self[MORE]
  if more then
    local payloads = { kernel.new_payload(self[VALUE]) }
    for i = 1, more.n do
      payloads[i + 1] = kernel.new_payload(more[i])
    end
    return table.unpack(payloads, 1, more.n + 1)
  end
  return kernel.new_payload(self[VALUE])
end

local function inbox_of(proc)
  local inbox = proc.inbox
  if not inbox then
    inbox = new_channel(HUGE)
    proc.inbox = inbox
  end
  return inbox
end

local function push_raw(channel, message)
  push(channel, message[VALUE])
  local more = message[MORE]
  if more then
    for i = 1, more.n do
      push(channel, more[i])
    end
  end
end

-- Put a message where it belongs: an exact listener of its topic, else the inbox, where it waits for either.
-- Returns false, and keeps nothing, when that is full and `force` does not say to keep it all the same.
local function deliver(proc, message, force)
  local topics = proc.topics
  local listener = topics and topics[message[TOPIC]]
  local channel = listener and listener.channel or proc.inbox or inbox_of(proc)
  if channel.last - channel.first >= mailbox_limit and not force then
    return false
  end
  if listener and not listener.messages then
    push_raw(channel, message)
  else
    push(channel, message)
  end
  return true
end
kernel.deliver = deliver

local function full_error(pid)
  return new_error(format("mailbox of %s is full (%d messages)", pid, kernel.mailbox_limit), "RateLimited", true)
end

-- Remote processes: a pid that answered once is known to be alive until its worker says it ended. --------------------
local alive_elsewhere = {}
kernel.alive_elsewhere = alive_elsewhere

local function not_found(dest)
  return new_error(format("process %s not found", tostring(dest)), "NotFound")
end

-- Pids elsewhere whose mailbox was full: sending to them waits for an answer until one says there is room.
local crowded = {}
kernel.crowded = crowded

--- Resolve a pid or registered name: local process, or nil, worker, pid; or nil, nil, Error.
local function resolve(dest)
  local proc = procs[dest]
  if proc then
    return proc
  end
  if type(dest) ~= "string" then
    return nil, nil, new_error("destination must be a pid or a registered name, got " .. kernel.type(dest), "Invalid")
  end
  local worker = locate(dest)
  if not worker then
    local pid = kernel.names[dest]
    if not pid then
      return nil, nil, not_found('"' .. dest .. '"')
    end
    proc = procs[pid]
    if proc then
      return proc
    end
    dest, worker = pid, locate(pid)
  end
  if worker == kernel.worker_index then
    return nil, nil, not_found(dest)
  end
  return nil, worker, dest
end
kernel.resolve = resolve

local function make_message(topic, from, n, value, ...)
  if n <= 1 then
    return setmetatable({ topic, from, type(value) == "table" and copy(value) or kernel.scalar(value) }, message_class)
  end
  local more = { n = n - 1 }
  for i = 1, n - 1 do
    more[i] = copy((select(i, ...)))
  end
  return setmetatable({ topic, from, copy(value), more }, message_class)
end

function kernel.scalar(value)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then
    return value
  end
  return nil
end

--- process.send between processes: true, or nil and an Error. Topics are checked by the caller.
function kernel.send(dest, topic, ...)
  local me = S.proc
  local proc = procs[dest]
  if not proc then
    local worker, pid
    proc, worker, pid = resolve(dest)
    if not proc then
      if not worker then
        return nil, pid
      end
      if not alive_elsewhere[pid] then
        local ok, err = kernel.request_and_note(function(found)
          alive_elsewhere[pid] = found
        end, worker, "follow", pid, kernel.worker_index)
        if not ok then
          return nil, err
        end
      end
      if crowded[pid] then
        local ok, err = kernel.request(worker, "send", pid, pid_of(me), topic, select("#", ...), ...)
        crowded[pid] = ok == nil and alive_elsewhere[pid] or nil
        return ok, err
      end
      kernel.signal(worker, "send", pid, pid_of(me), topic, select("#", ...), ...)
      return true
    end
  end
  if deliver(proc, make_message(topic, me.pid or pid_of(me), select("#", ...), ...)) then
    return true
  end
  return nil, full_error(proc.pid)
end

local function message_from(from, topic, n, value, ...)
  local more
  if n > 1 then
    more = { n = n - 1, ... }
  end
  return setmetatable({ topic, from, value, more }, message_class)
end

--- A message from outside this VM whose sender waits; the values are ours already.
function kernel.receive_message(pid, from, topic, n, ...)
  local proc = procs[pid]
  if not proc then
    return nil, not_found(pid)
  elseif deliver(proc, message_from(from, topic, n, ...)) then
    return true
  end
  return nil, full_error(pid)
end

--- A message from another worker whose sender did not wait. One that finds the mailbox full is kept, since its sender
-- was told that it was sent; but the sender's worker hears of it and waits from then on.
function kernel.receive_signal(pid, from, topic, n, ...)
  local proc = procs[pid]
  if not proc then
    return
  end
  local message = message_from(from, topic, n, ...)
  if not deliver(proc, message) then
    deliver(proc, message, true)
    local worker = from and locate(from)
    if worker then
      kernel.signal(worker, "crowded", pid)
    end
  end
end

-- Subscriptions -------------------------------------------------------------------------------------------------------

function kernel.inbox()
  local proc = S.proc
  pid_of(proc)
  proc.inbox_open, proc.subscribed = true, true
  return inbox_of(proc).handle
end

local function events_of(proc)
  local events = proc.events
  if not events then
    events = new_channel(HUGE)
    proc.events = events
  end
  return events
end

function kernel.events()
  local proc = S.proc
  pid_of(proc)
  proc.subscribed = true
  return events_of(proc).handle
end

--- Route a topic into a channel. While nobody has taken the inbox, what waits there for this topic moves over.
function kernel.listen(topic, messages, channel)
  local proc = S.proc
  pid_of(proc)
  proc.subscribed = true
  local topics = proc.topics
  if not topics then
    topics = {}
    proc.topics = topics
  end
  local listener = topics[topic]
  if listener and not channel then
    return listener.channel.handle
  end
  listener = { channel = channel or new_channel(HUGE), messages = messages }
  topics[topic] = listener
  local inbox = proc.inbox
  if inbox and not proc.inbox_open then
    local kept = {}
    for i = inbox.first, inbox.last do
      kept[#kept + 1] = inbox.buf[i]
    end
    inbox.buf, inbox.first, inbox.last = {}, 1, 0
    for i = 1, #kept do
      deliver(proc, kept[i])
    end
  end
  return listener.channel.handle
end

--- Stop routing into a channel; it is closed unless user code made it. Returns false if it was not subscribed.
function kernel.unlisten(channel, keep_open)
  local proc = S.proc
  for topic, listener in next, proc.topics or {} do
    if listener.channel == channel then
      proc.topics[topic] = nil
      if not keep_open then
        kernel.close_channel(channel)
      end
      return true
    end
  end
  return false
end

-- Lifecycle -----------------------------------------------------------------------------------------------------------

local function emit(proc, event)
  push(events_of(proc), event)
end

--- An event record. `type` is an alias of `kind` (the brief reads `ev.type`).
local function new_event(kind, from, fields)
  local event = fields or {}
  event.kind, event.type, event.from, event.at = kind, kind, from, kernel.wall_clock()
  return event
end

local EVENT = { CANCEL = "pid.cancel", EXIT = "pid.exit", LINK_DOWN = "pid.link.down", OUTDATED = "pid.outdated" }
kernel.EVENT = EVENT

local exit

--- Send an EXIT event to a watcher anywhere.
local function notify_exit(watcher, from, value, err)
  local proc = procs[watcher]
  if proc then
    return emit(proc, new_event(EVENT.EXIT, from, { result = { value = copy(value), error = err } }))
  end
  local worker = locate(watcher)
  if worker and worker ~= kernel.worker_index then
    kernel.signal(worker, "exited", watcher, from, value, err)
  end
end

--- A linked peer failed: an event for those who trap links, the end for those who do not.
local function link_down(proc, from, err)
  if proc.links then
    proc.links[from] = nil
  end
  if proc.trap_links then
    emit(proc, new_event(EVENT.LINK_DOWN, from, { result = { error = err } }))
  else
    exit(proc, nil, new_error("linked process failed", "Internal", false, { pid = from, cause = tostring(err) }))
  end
end

function kernel.remote_exited(watcher, from, value, err)
  local proc = procs[watcher]
  if proc then
    emit(proc, new_event(EVENT.EXIT, from, { result = { value = value, error = err } }))
  end
end

function kernel.remote_link_down(pid, from, err)
  local proc = procs[pid]
  if proc and proc.links and proc.links[from] then
    if err == nil then
      proc.links[from] = nil -- it ended well, which ends the link
    else
      link_down(proc, from, err)
    end
  end
end

local function tell_relations(proc, value, err)
  local pid = proc.pid
  for _, watcher in in_order(proc.monitors) do
    notify_exit(watcher, pid, value, err)
  end
  for _, peer in in_order(proc.links) do
    local other = procs[peer]
    if other then
      if err then
        if other.links and other.links[pid] then
          link_down(other, pid, err)
        end
      elseif other.links then
        other.links[pid] = nil
      end
    else
      local worker = locate(peer)
      if worker ~= kernel.worker_index then
        kernel.signal(worker, "link_down", peer, pid, err)
      end
    end
  end
  for worker in next, proc.followers or {} do
    kernel.signal(worker, "gone", pid)
  end
end

local function stop_tasks(proc)
  if proc.main then
    proc.main.dead = true
  end
  for task in next, proc.tasks or {} do
    task.dead = true
  end
  proc.tasks = nil
end

-- What the code of a process holds outside goes when that code does.
local function let_go(proc)
  kernel.cancel_commands(proc)
  kernel.drop_sinks(proc)
  local cleanup = proc.cleanup
  proc.cleanup = nil
  for _, clean in next, cleanup or {} do
    clean()
  end
end

--- End a process: everybody who asked is told, once, and nothing of it runs again.
function exit(proc, value, err)
  if proc.ended then
    return
  end
  proc.ended = true
  stop_tasks(proc)
  local children = proc.children
  if children then
    proc.children = nil
    for _, child in in_order(children, function(a, b)
      return children[a] < children[b]
    end) do
      child.reply = nil
      exit(child, nil, new_error("caller ended", "Canceled", false))
    end
  end
  let_go(proc)
  local pid = proc.pid
  if pid then
    procs[pid] = nil
    for _, name in in_order(proc.names) do
      kernel.release_name(name, pid)
      if kernel.names[name] == pid then -- else somebody took it away and another has it now
        kernel.names[name] = nil
      end
    end
    tell_relations(proc, value, err)
  end
  local home = proc.home
  if home then
    process_count = process_count - 1
    if home.limited then
      kernel.release_place(home.id)
    end
  elseif proc.pool then
    kernel.release_instance(proc)
  end
  local reply = proc.reply
  if reply then
    proc.reply = nil
    reply(proc, value, err)
  end
end
kernel.exit = exit

--- Tell a process that its code, or a library it imports, has changed (set_options{upgradable = true}).
function kernel.notify_outdated(proc, ids)
  emit(proc, new_event(EVENT.OUTDATED, nil, { sources = copy(ids) }))
end

--- What a task's end means for its process. A second return value that is a string or an Error is a failure.
local function main_ended(task, ok, value, err)
  local proc = task.proc
  if not ok then
    local failure = to_error(value, "Internal", kernel.stack(task.co))
    if not proc.reply then
      kernel.post(kernel.ops.LOG, "error", "process failed: " .. tostring(failure), kernel.pack({
        pid = proc.pid, entry = proc.entry, fields = { stack = select(5, kernel.error_fields(failure)) },
      }))
    end
    return exit(proc, nil, failure)
  end
  if err ~= nil and (type(err) == "string" or is_error(err)) then
    return exit(proc, nil, to_error(err, ""))
  end
  return exit(proc, value, nil)
end
kernel.main_ended = main_ended

--- coroutine.spawn: another task of the same process. A failure in it fails the process.
function kernel.spawn_task(proc, fn, args)
  local tasks = proc.tasks
  if not tasks then
    tasks = {}
    proc.tasks = tasks
  end
  local task = kernel.start_task(proc, fn, args, function(task, ok, value)
    if proc.tasks then
      proc.tasks[task] = nil
    end
    if not ok then
      main_ended(task, false, value)
    end
  end)
  tasks[task] = true
  return task
end

--- Make and start a process on this worker. `args` is a packed table that belongs to the new process.
-- `options`: context, actor, scope, reply, name, messages, monitor (pid), reaper (another that monitors), link (pid).
function kernel.spawn_here(code, host, args, options)
  local proc = {
    host = host.id, home = host, entry = code.id, code = code, pending = 0,
    context = options.context, actor = options.actor, scope = options.scope, reply = options.reply,
  }
  local pid = pid_of(proc)
  process_count = process_count + 1
  if options.monitor or options.reaper then
    proc.monitors = {}
    proc.monitors[options.monitor or options.reaper] = true
    proc.monitors[options.reaper or options.monitor] = true
  end
  if options.link then
    proc.links = { [options.link] = true }
  end
  proc.main = kernel.start_task(proc, kernel.enter, { n = 2, code, args }, main_ended)
  return pid, proc
end

function kernel.process_count()
  return process_count
end

--- Replace the running code by `code`, keeping pid, links, monitors and unread messages; never returns.
function kernel.upgrade(code, args)
  local proc = S.proc
  stop_tasks(proc)
  let_go(proc)
  local unread = {}
  local function gather(channel)
    for i = channel.first, channel.last do
      unread[#unread + 1] = channel.buf[i]
    end
  end
  if proc.inbox then
    gather(proc.inbox)
  end
  for _, topic in in_order(proc.topics) do
    local listener = proc.topics[topic]
    for i = listener.channel.first, listener.channel.last do
      local item = listener.channel.buf[i]
      if getmetatable(item) ~= message_class then
        item = setmetatable({ topic, nil, item }, message_class)
      end
      unread[#unread + 1] = item
    end
  end
  proc.inbox, proc.topics, proc.inbox_open, proc.subscribed = nil, nil, nil, nil
  proc.instance = nil
  for i = 1, #unread do
    push(inbox_of(proc), unread[i])
  end
  proc.code, proc.entry = code, code.id
  proc.main = kernel.start_task(proc, kernel.enter, { n = 2, code, args }, main_ended)
  block()
end

-- Control -------------------------------------------------------------------------------------------------------------

local control = {}
kernel.control = control -- operations on a process of this worker, by name; also asked for by other workers

function control.terminate(pid)
  local proc = procs[pid]
  if not proc then
    return nil, not_found(pid)
  end
  exit(proc, nil, new_error("process terminated", "Canceled", false))
  return true
end

function control.cancel(pid, from, reason)
  local proc = procs[pid]
  if not proc then
    return nil, not_found(pid)
  end
  emit(proc, new_event(EVENT.CANCEL, from, { reason = reason }))
  return true
end

function control.monitor(pid, watcher)
  local proc = procs[pid]
  if not proc then
    return nil, not_found(pid)
  end
  proc.monitors = proc.monitors or {}
  proc.monitors[watcher] = true
  return true
end

function control.unmonitor(pid, watcher)
  local proc = procs[pid]
  if proc and proc.monitors then
    proc.monitors[watcher] = nil
  end
  return true
end

function control.link(pid, peer)
  local proc = procs[pid]
  if not proc then
    return nil, not_found(pid)
  end
  proc.links = proc.links or {}
  proc.links[peer] = true
  return true
end

function control.unlink(pid, peer)
  local proc = procs[pid]
  if proc and proc.links then
    proc.links[peer] = nil
  end
  return true
end

function control.take_name(pid, name)
  if not procs[pid] then
    return nil, not_found(pid)
  end
  return kernel.register_name(name, pid)
end

function control.follow(pid, worker)
  local proc = procs[pid]
  if not proc then
    return nil, not_found(pid)
  end
  proc.followers = proc.followers or {}
  proc.followers[worker] = true
  return true
end

--- Run a control operation on the process that a pid or name means, wherever it lives.
function kernel.control_process(operation, dest, ...)
  local proc, worker, pid = resolve(dest)
  if proc then
    local ok, err = control[operation](pid_of(proc), ...)
    if proc.ended and S.proc == proc then
      block() -- it ended itself
    end
    return ok, err
  end
  if not worker then
    return nil, pid
  end
  return kernel.request(worker, operation, pid, ...)
end

-- A link whose other side is noted already. A process that ended meanwhile takes the other along.
local function note_link(pid, peer)
  local proc = procs[pid]
  if proc then
    proc.links = proc.links or {}
    proc.links[peer] = true
  else
    kernel.signal(locate(peer), "link_down", peer, pid, new_error("linked process ended", "Canceled", false))
  end
end
kernel.note_link = note_link

--- Let the process `pid`, wherever it lives, note its link to `peer`, a process of this worker.
function kernel.tell_link(pid, peer)
  local worker = locate(pid)
  if worker == kernel.worker_index then
    note_link(pid, peer)
  else
    kernel.signal(worker, "linked", pid, peer)
  end
end

--- Link the current process and another: each keeps a record of it.
function kernel.link_processes(dest)
  local own = pid_of(S.proc)
  local proc, worker, pid = resolve(dest)
  if proc then
    note_link(own, pid_of(proc))
    note_link(proc.pid, own)
    return true
  elseif not worker then
    return nil, pid
  end
  return kernel.request_and_note(function(ok)
    if ok then
      note_link(own, pid)
    end
  end, worker, "link", pid, own)
end

function kernel.unlink_processes(dest)
  local me = S.proc
  local proc, _, pid = resolve(dest)
  if me.links then
    me.links[proc and proc.pid or pid or dest] = nil
  end
  return kernel.control_process("unlink", dest, pid_of(me))
end
