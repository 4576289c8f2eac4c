--- Sleeps and timers of different lengths. Returns {wake-ups: {wanted, got} in their order, values of the timers}.
-- Times are in milliseconds.
local time = require("time")
local SLEEPERS, TIMERS = 6, 4

local function elapsed(start)
  return time.now():sub(start):milliseconds()
end

return function()
  local start, woken, done = time.now(), {}, channel.new(SLEEPERS)
  for i = 1, SLEEPERS do
    local wanted = math.random(0, 20) * SLEEPERS + i
    coroutine.spawn(function()
      time.sleep(wanted .. "ms")
      woken[#woken + 1] = { wanted, elapsed(start) }
      done:send(true)
    end)
  end
  local channels = {}
  for i = 1, TIMERS do
    channels[i] = time.after(i .. "ms")
  end
  for i = 1, TIMERS do
    channels[i]:receive()
  end
  for _ = 1, SLEEPERS do
    done:receive()
  end
  time.sleep("1s")
  local values = {}
  for i = 1, TIMERS do
    local count = 1
    while not channel.select({ channels[i]:case_receive(), default = true }).default and count < 3 do
      count = count + 1
    end
    values[i] = count
  end
  return { woken, values }
end
