--- Sending to processes that end meanwhile. Returns for each the kind of the error that the last send gave.
local time = require("time")
local CHILDREN = 6

local roles = {}

function roles.child()
  local late = time.after(math.random(0, 2) .. "ms")
  channel.select({ process.inbox():case_receive(), late:case_receive() })
end

function roles.sender(pid)
  process.send(pid, "hello")
  time.sleep("10ms")
  local ok, err = process.send(pid, "hello")
  return ok and "sent" or err:kind()
end

function roles.main()
  local kinds, events = {}, process.events()
  for _ = 1, CHILDREN do
    local pid = assert(process.spawn(process.id(), "app:processes", "child"))
    assert(process.spawn_monitored(process.id(), "app:processes", "sender", pid))
  end
  for i = 1, CHILDREN do
    local result = events:receive().result
    kinds[i] = result.value or tostring(result.error)
  end
  return kinds
end

return function(role, ...)
  return roles[role](...)
end
