--- A receiver becomes itself again after every few messages. Returns what it heard: {sender, topic, number}.
local time = require("time")
local SENDERS, MESSAGES = 3, 10

local roles = {}

function roles.sender(to, topic)
  for i = 1, MESSAGES do
    while not process.send(to, topic, i) do
      time.sleep("1ms")
    end
    if math.random(5) == 1 then
      time.sleep("1ms")
    end
  end
end

function roles.receiver(heard)
  local listened = process.listen("listened", { message = true })
  local inbox, late = process.inbox(), time.after("20s")
  for _ = 1, math.random(1, 4) do
    local result = channel.select({ inbox:case_receive(), listened:case_receive(), late:case_receive() })
    if result.channel == late then
      return heard
    end
    local message = result.value
    heard[#heard + 1] = { message:from(), message:topic(), message:payload():data() }
  end
  process.upgrade(nil, "receiver", heard)
end

function roles.main()
  local receiver = assert(process.spawn_monitored(process.id(), "app:processes", "receiver", {}))
  for i = 1, SENDERS do
    assert(process.spawn(process.id(), "app:processes", "sender", receiver, i % 2 == 0 and "listened" or "other"))
  end
  local result = process.events():receive().result
  return result.value or tostring(result.error)
end

return function(role, ...)
  return roles[role](...)
end
