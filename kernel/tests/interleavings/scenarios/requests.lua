--- Clients ask a server, which they know by name, and wait for each answer. Returns every client's answers.
local time = require("time")
local CLIENTS, REQUESTS = 4, 5

local roles = {}

function roles.server()
  assert(process.registry.register("requests.server"))
  local inbox = process.inbox()
  while true do
    local message = inbox:receive()
    process.send(message:from(), "answer", message:payload():data() * 2)
  end
end

function roles.client(base)
  local answers, got = process.listen("answer"), {}
  while not process.registry.lookup("requests.server") do
    time.sleep("1ms")
  end
  for i = 1, REQUESTS do
    assert(process.send("requests.server", "double", base + i))
    local late = time.after("5s")
    local result = channel.select({ answers:case_receive(), late:case_receive() })
    got[i] = result.channel == answers and result.value or "no answer"
  end
  return got
end

function roles.main()
  local server = assert(process.spawn(process.id(), "app:processes", "server"))
  local events, got = process.events(), {}
  for i = 1, CLIENTS do
    assert(process.spawn_monitored(process.id(), "app:processes", "client", i * 100))
  end
  for i = 1, CLIENTS do
    local result = events:receive().result
    got[i] = result.value or tostring(result.error)
  end
  process.terminate(server)
  return got
end

return function(role, ...)
  return roles[role](...)
end
