--- The outbox: what leaves the VM, gathered during a slice and handed to Python in one crossing.
--
-- Every entry takes five slots: operation, then four operands. wippy.scheduler.worker reads them.
local kernel = ...

local S, block, ready = kernel.state, kernel.block, kernel.ready
local pack_values, unpack_value = kernel.pack_values, kernel.unpack
local select, table_unpack = select, table.unpack

local COMMAND, CANCEL, SIGNAL, REPLY, LOG = 1, 2, 3, 4, 5
kernel.ops = { COMMAND = COMMAND, CANCEL = CANCEL, SIGNAL = SIGNAL, REPLY = REPLY, LOG = LOG }

local outbox, size = {}, 0

local function post(op, a, b, c, d)
  outbox[size + 1], outbox[size + 2], outbox[size + 3], outbox[size + 4], outbox[size + 5] = op, a, b, c, d
  size = size + 5
end
kernel.post = post

--- Hand over what gathered: returns it as values, and empties the outbox. At most `limit` slots at a time, because a
-- C call can return only so many values.
local LIMIT = 5000
function kernel.take_outbox()
  if size == 0 then
    return
  end
  if size <= LIMIT then
    local n = size
    size = 0
    local full = outbox
    outbox = {}
    return table_unpack(full, 1, n)
  end
  local head = table.move(outbox, 1, LIMIT, 1, {})
  outbox = table.move(outbox, LIMIT + 1, size, 1, {})
  size = size - LIMIT
  return table_unpack(head, 1, LIMIT)
end

function kernel.outbox_size()
  return size
end

-- Commands: work that Python does while the task waits ----------------------------------------------------------------

local waiting = {} -- command id -> task
local last_id = 0

--- Run the Python command `name` with the arguments; returns `value` or `nil, Error`.
function kernel.command(name, ...)
  local args = pack_values(select("#", ...), ...)
  local proc = S.proc
  last_id = last_id + 1
  local id = last_id
  waiting[id] = S.task
  proc.pending = proc.pending + 1
  local commands = proc.commands
  if not commands then
    commands = {}
    proc.commands = commands
  end
  commands[id] = true
  post(COMMAND, id, name, args, kernel.pid_of(proc))
  local ok, data = block()
  if ok then
    return unpack_value(data)
  end
  return nil, unpack_value(data)
end

--- Python's answer to a command. One that was cancelled meanwhile is dropped.
function kernel.complete(id, ok, data)
  local task = waiting[id]
  if task then
    waiting[id] = nil
    local proc = task.proc
    proc.pending = proc.pending - 1
    proc.commands[id] = nil
    ready(task, ok, data)
  end
end

--- Cancel what a process has under way.
function kernel.cancel_commands(proc)
  for id in next, proc.commands or {} do
    waiting[id] = nil
    post(CANCEL, id)
  end
  proc.commands = nil
end

-- Sinks: channels that Python fills ---------------------------------------------------------------------------------

local sinks = {}
local last_sink = 0

--- Let Python push values into a channel; returns the id to give to a command. Counts as a subscription.
function kernel.open_sink(channel, proc)
  last_sink = last_sink + 1
  sinks[last_sink] = { channel = channel, proc = proc }
  proc.subscribed = true
  local opened = proc.sinks
  if not opened then
    opened = {}
    proc.sinks = opened
  end
  opened[last_sink] = true
  return last_sink
end

function kernel.sink_push(id, data)
  local sink = sinks[id]
  if sink then
    kernel.push(sink.channel, unpack_value(data))
  end
end

function kernel.sink_close(id)
  local sink = sinks[id]
  if sink then
    sinks[id] = nil
    if sink.proc.sinks then
      sink.proc.sinks[id] = nil
    end
    kernel.close_channel(sink.channel)
  end
end

--- Forget the sinks of a process that ended and tell Python, which may hold resources for them.
function kernel.drop_sinks(proc)
  for id in next, proc.sinks or {} do
    sinks[id] = nil
    post(CANCEL, -id)
  end
  proc.sinks = nil
end

--- Write a log record: level is debug, info, warn or error; fields a table or nil, name of the logger and line of the
-- program may be missing. Raises an Error(Invalid) for fields that are nested too deeply.
function kernel.log(level, message, fields, name, line)
  local proc = S.proc
  local record = { fields = fields, logger = name }
  if proc then
    local entry = proc.entry
    record.pid, record.entry = kernel.pid_of(proc), entry
    record.location = entry and line and entry .. ":" .. line
  end
  post(LOG, level, message, kernel.pack(record))
end
