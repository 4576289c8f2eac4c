--- Futures: the result of an asynchronous call (manual page lua/core/future; decision 1 of the reference).
--
-- `result()` on a future that the program has not polled waits; once it was polled (is_complete, its channel, cancel) it
-- never does.
local kernel = ...

local S, ready, block = kernel.state, kernel.ready, kernel.block
local new_error, type = kernel.new_error, type

local methods = {}
local class = kernel.private_class("Future", methods)

local function check(handle, name)
  local future = class.state(handle)
  if not future then
    error("bad argument #1 to '" .. name .. "' (future expected)", 3)
  end
  return future
end

local function channel_of(future)
  if not future.channel then
    future.channel = kernel.new_channel(math.huge)
    if future.done and not future.canceled then
      kernel.push(future.channel, future.err or kernel.new_payload(future.value))
    end
  end
  return future.channel
end

--- Kernel side: settle a future; later results are dropped.
local function complete(future, value, err)
  if future.done then
    return
  end
  future.done, future.value, future.err = true, value, err
  future.proc.pending = future.proc.pending - 1
  if future.channel then
    kernel.push(future.channel, err or kernel.new_payload(value))
  end
  for i = 1, #future.waiters do
    ready(future.waiters[i])
  end
  future.waiters = {}
end

--- Kernel side: run fn(...) -> value, err as a task of the current process; returns the future's handle.
-- `on_cancel` is called when the program cancels it.
function kernel.new_future(fn, args)
  local proc = S.proc
  local future = { proc = proc, waiters = {} }
  proc.pending = proc.pending + 1
  future.task = kernel.spawn_task(proc, function(...)
    complete(future, fn(...))
  end, args)
  return class.new(future)
end

function methods.channel(self)
  local future = check(self, "channel")
  future.polled = true
  return channel_of(future).handle
end
methods.response = methods.channel

function methods.case_receive(self)
  local future = check(self, "case_receive")
  future.polled = true
  return kernel.receive_case(channel_of(future), channel_of(future).handle)
end

function methods.receive(self)
  return methods.channel(self):receive()
end

function methods.is_complete(self)
  local future = check(self, "is_complete")
  future.polled = true
  return future.done == true
end

function methods.is_canceled(self)
  local future = check(self, "is_canceled")
  return future.canceled == true
end

function methods.result(self)
  local future = check(self, "result")
  if not future.done and not future.polled then
    future.waiters[#future.waiters + 1] = S.task
    block()
  end
  if not future.done then
    return nil, nil
  end
  local value = future.value
  if type(value) == "table" and kernel.is_plain(value) then
    value = kernel.new_payload(value)
  end
  return value, future.err
end

function methods.error(self)
  local future = check(self, "error")
  return future.err, future.err ~= nil
end

function methods.cancel(self)
  local future = check(self, "cancel")
  future.polled = true
  if future.done then
    return false
  end
  future.canceled = true
  kernel.abandon(future.task)
  complete(future, nil, new_error("call was canceled", "Canceled", false))
  return true
end
