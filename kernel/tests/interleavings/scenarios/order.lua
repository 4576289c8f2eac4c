--- Several senders, one slow receiver whose mailbox is often full. Returns what was heard: {sender, topic, number}.
local time = require("time")
local SENDERS, MESSAGES = 4, 12

local roles = {}

function roles.sender(to, topic)
  for i = 1, MESSAGES do
    local ok, err = process.send(to, topic, i)
    while not ok do
      assert(err:kind() == "RateLimited", err)
      time.sleep("1ms")
      ok, err = process.send(to, topic, i)
    end
    if math.random(4) == 1 then
      time.sleep("1ms")
    end
  end
end

function roles.main()
  local listened = process.listen("listened", { message = true })
  local inbox, late = process.inbox(), time.after("20s")
  for i = 1, SENDERS do
    assert(process.spawn(process.id(), "app:processes", "sender", process.pid(), i % 2 == 0 and "listened" or "other"))
  end
  local heard = {}
  while true do
    local result = channel.select({ inbox:case_receive(), listened:case_receive(), late:case_receive() })
    if result.channel == late then
      return heard
    end
    local message = result.value
    heard[#heard + 1] = { message:from(), message:topic(), message:payload():data() }
    if math.random(4) == 1 then
      time.sleep("2ms")
    end
  end
end

return function(role, ...)
  return roles[role](...)
end
