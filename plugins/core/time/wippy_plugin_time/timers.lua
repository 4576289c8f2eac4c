--- Waiting: sleep, after, timers and tickers on the kernel's timers (manual page lua/core/time).
--
-- A timer's channel holds one time, as Go's do: while one lies unreceived, further ticks are dropped.
local kernel = ...

local error = error
local P = kernel.plugin_time
local select = kernel.channel_library.select

-- Hand over the current time without waiting. It is dropped where the last one lies unreceived, and where user code has
-- closed the channel.
local function announce(channel)
  if not channel.closed and channel.first > channel.last then
    kernel.push(channel, P.now())
  end
end

-- Take back what nobody received; true if there was something.
local function drain(channel)
  local result = select({ channel.handle:case_receive() }, true)
  return result.ok and not result.default
end

-- Seconds to wait, or nil and an Error; a timer's must be positive.
local function delay(duration, what)
  local seconds, err = kernel.seconds(duration, "ns")
  if seconds and what and seconds <= 0 then
    local message = what .. " duration must be positive, got " .. kernel.tostring(duration)
    return nil, kernel.new_error(message, "Invalid", false)
  end
  return seconds, err
end

--- Sleep; returns true, or nil and an Error(Invalid) for what is no duration.
function P.sleep(duration)
  local seconds, err = delay(duration)
  if not seconds then
    return nil, err
  end
  kernel.sleep(seconds)
  return true
end

--- A channel that gets the time once, after a duration.
function P.after(duration)
  local seconds, err = delay(duration)
  if not seconds then
    return nil, err
  end
  local channel = kernel.new_channel(1)
  kernel.set_timer(seconds, function()
    announce(channel)
  end, kernel.state.proc)
  return channel.handle
end

-- The methods that Timer and Ticker share; `class_of` gives the class once it exists.
local function channel_methods(class_name, class_of)
  local methods = {}

  local function check(self, name)
    local state = class_of().state(self)
    if not state then
      error(("bad argument #1 to '%s' (%s expected, got %s)"):format(name, class_name, kernel.type(self)), 3)
    end
    return state
  end

  function methods.response(self)
    return check(self, "response").channel.handle
  end

  function methods.channel(self)
    return check(self, "channel").channel.handle
  end

  -- Decision 11 of the reference: both are accepted wherever a channel is.
  function methods.receive(self)
    return check(self, "receive").channel.handle:receive()
  end

  function methods.case_receive(self)
    return kernel.receive_case(check(self, "case_receive").channel, self)
  end

  --- Returns whether this stopped it; what it sent and nobody received is taken back, as in Go.
  function methods.stop(self)
    local state = check(self, "stop")
    local active = kernel.cancel_timer(state.timer)
    return drain(state.channel) or active
  end

  return methods, check
end

-- Timers --------------------------------------------------------------------------------------------------------------

local timer_class
local timer_methods, check_timer = channel_methods("Timer", function()
  return timer_class
end)

local function arm(state, seconds)
  state.timer = kernel.set_timer(seconds, function()
    announce(state.channel)
  end, kernel.state.proc)
end

--- Start again; returns whether the timer was running or had fired unseen.
function timer_methods.reset(self, duration)
  local state = check_timer(self, "reset")
  local seconds, err = delay(duration, "timer")
  if not seconds then
    return nil, err
  end
  local active = kernel.cancel_timer(state.timer)
  active = drain(state.channel) or active
  arm(state, seconds)
  return active
end

timer_class = kernel.private_class("Timer", timer_methods)

function P.timer(duration)
  local seconds, err = delay(duration, "timer")
  if not seconds then
    return nil, err
  end
  local state = { channel = kernel.new_channel(1) }
  arm(state, seconds)
  return timer_class.new(state)
end

-- Tickers -------------------------------------------------------------------------------------------------------------

local ticker_class
local ticker_methods = channel_methods("Ticker", function()
  return ticker_class
end)
ticker_class = kernel.private_class("Ticker", ticker_methods)

-- Ticks stay on the grid of the first one, whatever delays them; those that were missed are left out.
local function tick(state)
  local now = kernel.clock()
  state.count = math.max(state.count + 1, (now - state.start) // state.interval + 1)
  state.timer = kernel.set_timer(state.start + state.count * state.interval - now, function()
    announce(state.channel)
    tick(state)
  end, state.proc)
end

function P.ticker(duration)
  local seconds, err = delay(duration, "ticker")
  if not seconds then
    return nil, err
  end
  local state = {
    channel = kernel.new_channel(1),
    proc = kernel.state.proc,
    interval = seconds,
    start = kernel.clock(),
    count = 0,
  }
  tick(state)
  return ticker_class.new(state)
end
