--- Channels and select (manual page lua/core/channel).
--
-- A channel's state: buf[first..last] holds what was sent and not yet received, `cap` its size. `receiver` and `sender`
-- are the first in line, `receivers` and `senders` those behind them. Somebody in line is a task (which waits on this
-- channel alone) or one case of a select; both have `.task`, a case also `.ticket`.
-- Invariant: receivers wait only while the buffer is empty, senders only while it is full.
local kernel = ...

local yield, type, error, setmetatable = coroutine.yield, type, error, setmetatable
local remove = table.remove
local S, BLOCK, ready = kernel.state, kernel.BLOCK, kernel.ready

local CLOSED = {} -- what a blocked sender is woken with when the channel closes

local methods = {}
local class = kernel.private_class("channel", methods)
local state_of = class.state
local case_class = kernel.private_class("channel.case", {})

local function check(handle, name)
  local channel = state_of(handle)
  if not channel then
    error("bad argument #1 to '" .. name .. "' (channel expected)", 3)
  end
  return channel
end

-- The line ----------------------------------------------------------------------------------------------------------

local function join(channel, first, rest, waiter)
  if channel[first] == nil then
    channel[first] = waiter
  else
    local line = channel[rest]
    if not line then
      line = {}
      channel[rest] = line
    end
    line[#line + 1] = waiter
  end
end

local function advance(channel, first, rest)
  local line = channel[rest]
  if line and line[1] ~= nil then
    channel[first] = remove(line, 1)
  else
    channel[first] = nil
  end
end

-- The next one in line who still waits. A task that died while waiting is skipped here.
local function take(channel, first, rest)
  while true do
    local waiter = channel[first]
    if waiter == nil then
      return nil
    end
    advance(channel, first, rest)
    if not waiter.task.dead then
      return waiter
    end
  end
end

local function leave(channel, first, rest, waiter)
  if channel[first] == waiter then
    return advance(channel, first, rest)
  end
  local line = channel[rest]
  if line then
    for i = 1, #line do
      if line[i] == waiter then
        remove(line, i)
        return
      end
    end
  end
end

-- A select was served by one of its cases: take the others out of their lines.
local function settle(case)
  for _, other in next, case.ticket do
    if other ~= case then
      if other.sends then
        leave(other.channel, "sender", "senders", other)
      else
        leave(other.channel, "receiver", "receivers", other)
      end
    end
  end
end

local function serve_receiver(waiter, value, ok)
  if waiter.ticket then
    settle(waiter)
    ready(waiter.task, { channel = waiter.source, value = value, ok = ok })
  else
    ready(waiter, value, ok)
  end
end

local function serve_sender(waiter)
  if waiter.ticket then
    settle(waiter)
    ready(waiter.task, { channel = waiter.source, value = waiter.value, ok = true })
  else
    ready(waiter.task, true)
  end
  return waiter.value
end

-- Operations --------------------------------------------------------------------------------------------------------

-- Take a value if one can be had at once: true, value, ok.
local function poll(channel)
  local first = channel.first
  if first <= channel.last then
    local buf = channel.buf
    local value = buf[first]
    buf[first] = nil
    if first == channel.last then
      channel.first, channel.last = 1, 0
    else
      channel.first = first + 1
    end
    if channel.sender then
      local waiter = take(channel, "sender", "senders")
      if waiter then
        channel.last = channel.last + 1
        buf[channel.last] = serve_sender(waiter)
      end
    end
    return true, value, true
  end
  if channel.sender then
    local waiter = take(channel, "sender", "senders")
    if waiter then
      return true, serve_sender(waiter), true
    end
  end
  if channel.closed then
    return true, nil, false
  end
  return false
end

-- Give a value if it is taken at once or fits the buffer.
local function offer(channel, value)
  if channel.receiver then
    local waiter = take(channel, "receiver", "receivers")
    if waiter then
      serve_receiver(waiter, value, true)
      return true
    end
  end
  local last = channel.last
  if last - channel.first + 1 < channel.cap then
    channel.buf[last + 1] = value
    channel.last = last + 1
    return true
  end
  return false
end

--- Kernel side: put a value into a channel that has room without end (mailboxes, timers, subscriptions).
local function push(channel, value)
  local waiter = channel.receiver
  if waiter ~= nil then
    waiter = take(channel, "receiver", "receivers")
    if waiter then
      if waiter.ticket then
        return serve_receiver(waiter, value, true)
      end
      return ready(waiter, value, true)
    end
  end
  local last = channel.last + 1
  channel.buf[last] = value
  channel.last = last
end
kernel.push = push

--- Kernel side: close a channel whoever owns it; closing twice is nothing.
local function close(channel)
  if channel.closed then
    return
  end
  channel.closed = true
  while true do
    local waiter = take(channel, "receiver", "receivers")
    if not waiter then
      break
    end
    serve_receiver(waiter, nil, false)
  end
  while true do
    local waiter = take(channel, "sender", "senders")
    if not waiter then
      break
    end
    if waiter.ticket then
      settle(waiter)
    end
    ready(waiter.task, CLOSED)
  end
end
kernel.close_channel = close

--- Kernel side: make a channel, returning its state; `.handle` is what user code gets.
local function new(cap)
  local channel = { buf = {}, first = 1, last = 0, cap = cap }
  channel.handle = class.new(channel)
  return channel
end
kernel.new_channel = new
kernel.channel_state = state_of

function methods.receive(self)
  local channel = state_of(self) or check(self, "receive")
  local done, value, ok = poll(channel)
  if done then
    return value, ok
  end
  local task = S.task
  if channel.receiver == nil then
    channel.receiver = task
  else
    join(channel, "receiver", "receivers", task)
  end
  return yield(BLOCK)
end

function methods.send(self, value)
  local channel = check(self, "send")
  if channel.closed then
    error("attempt to send on a closed channel", 2)
  end
  if offer(channel, value) then
    return true
  end
  join(channel, "sender", "senders", { task = S.task, value = value })
  if yield(BLOCK) == CLOSED then
    error("channel was closed while sending", 2)
  end
  return true
end

function methods.close(self)
  local channel = check(self, "close")
  if channel.closed then
    error("attempt to close a closed channel", 2)
  end
  close(channel)
end

--- Kernel side: the receive case of a channel; `source` is what the select's result names as its channel.
function kernel.receive_case(channel, source)
  local case = channel.receive_case
  if not case or source ~= channel.handle then
    case = case_class.new({ channel = channel, source = source })
    if source == channel.handle then
      channel.receive_case = case
    end
  end
  return case
end

function methods.case_receive(self)
  return kernel.receive_case(check(self, "case_receive"), self)
end

function methods.case_send(self, value)
  return case_class.new({ channel = check(self, "case_send"), source = self, sends = true, value = value })
end

local function select_cases(cases)
  local list = {}
  for i = 1, #cases do
    local case = case_class.state(cases[i])
    if not case then
      error("invalid case in select: case " .. i .. " is a " .. kernel.type(cases[i]) .. ", not a channel case", 3)
    end
    list[i] = case
  end
  return list
end

local function select(cases, default)
  if type(cases) ~= "table" then
    error("bad argument #1 to 'select' (table of cases expected)", 2)
  end
  local list = select_cases(cases)
  for i = 1, #list do
    local case = list[i]
    local channel = case.channel
    if case.sends then
      if channel.closed then
        error("attempt to send on a closed channel", 2)
      end
      if offer(channel, case.value) then
        return { channel = case.source, value = case.value, ok = true }
      end
    else
      local done, value, ok = poll(channel)
      if done then
        return { channel = case.source, value = value, ok = ok }
      end
    end
  end
  if default or cases.default then
    return { default = true, ok = true }
  end
  if #list == 0 then
    error("select without cases would wait for ever", 2)
  end
  local task = S.task
  local ticket = {}
  for i = 1, #list do
    local case = list[i]
    local waiter =
      { task = task, ticket = ticket, channel = case.channel, source = case.source, sends = case.sends, value = case.value }
    ticket[i] = waiter
    if case.sends then
      join(case.channel, "sender", "senders", waiter)
    else
      join(case.channel, "receiver", "receivers", waiter)
    end
  end
  local result = yield(BLOCK)
  if result == CLOSED then
    error("channel was closed while sending", 2)
  end
  return result
end

kernel.channel_library = {
  new = function(size)
    size = size or 0
    if type(size) ~= "number" or size < 0 or size % 1 ~= 0 then
      error("bad argument #1 to 'new' (size must be a non-negative integer)", 2)
    end
    return new(size).handle
  end,
  select = select,
}
