--- A host with room for three, used by spawning, executing and terminating. Returns {how many were spawned, room at the end}.
local time = require("time")

local roles = {}

function roles.child(milliseconds)
  if milliseconds == 0 then
    error("failure")
  end
  time.sleep(milliseconds .. "ms")
  return milliseconds
end

function roles.caller()
  return process.exec("app:fresh", "app:small") -- which nobody has loaded when the first one asks
end

local function spawn(...)
  return process.spawn_monitored("app:places", "app:small", ...)
end

function roles.main()
  local events, started, ended = process.events(), 0, 0
  for i = 1, 12 do
    local pid, err = spawn("child", math.random(0, 3))
    if pid then
      started = started + 1
      if math.random(3) == 1 then
        process.terminate(pid)
      end
    else
      assert(err:kind() == "RateLimited", err)
      time.sleep("1ms")
    end
    local caller = assert(process.spawn("app:places", "app:processes", "caller"))
    if i == 1 or math.random(2) == 1 then
      process.terminate(caller)
    end
  end
  while ended < started do
    events:receive()
    ended = ended + 1
  end
  time.sleep("1s")
  local room = 0
  while spawn("child", 1) do
    room = room + 1
  end
  for _ = 1, room do
    events:receive()
  end
  return { started, room }
end

return function(role, ...)
  return roles[role](...)
end
