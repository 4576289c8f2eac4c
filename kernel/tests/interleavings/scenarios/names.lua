--- Processes contend for one name, and one name changes hands behind its first holder's back.
-- Returns {the times for which each contender held the name: {from, to}, who holds the other name at the end}.
local time = require("time")
local CONTENDERS, LOOKERS = 4, 4

local roles = {}

local function now()
  return time.now():unix_nano()
end

function roles.contender(number)
  for _ = 1, 200 do
    if process.registry.register("names.chair") then
      local from = now()
      assert(process.registry.lookup("names.chair") == process.pid())
      time.sleep(math.random(1, 3) .. "ms")
      local to = now()
      if number % 2 == 0 then
        assert(process.registry.unregister("names.chair"))
        time.sleep("5ms")
      end
      return { from, to }
    end
    time.sleep("1ms")
  end
  return nil, "the name was never free"
end

function roles.holder()
  local inbox = process.inbox()
  assert(process.registry.register("names.desk"))
  inbox:receive()
end

function roles.looker()
  return process.registry.lookup("names.desk")
end

function roles.main()
  local events, held = process.events(), {}
  for i = 1, CONTENDERS do
    assert(process.spawn_monitored(process.id(), "app:processes", "contender", i))
  end
  for i = 1, CONTENDERS do
    local result = events:receive().result
    held[i] = result.value or tostring(result.error)
  end
  local first = assert(process.spawn(process.id(), "app:processes", "holder"))
  time.sleep("1ms")
  assert(process.registry.unregister("names.desk"))
  time.sleep("1ms")
  local second = assert(process.spawn(process.id(), "app:processes", "holder"))
  time.sleep("1ms")
  process.send(first, "end")
  time.sleep("1ms")
  local third = assert(process.spawn_monitored(process.id(), "app:processes", "holder"))
  local refused = events:receive().result.error
  local seen = 0
  for _ = 1, LOOKERS do
    if process.exec(process.id(), "app:processes", "looker") == second then
      seen = seen + 1
    end
  end
  process.send("names.desk", "end")
  time.sleep("1ms")
  return { held, seen == LOOKERS, refused ~= nil, process.registry.lookup("names.desk") == nil, third ~= second }
end

return function(role, ...)
  return roles[role](...)
end
