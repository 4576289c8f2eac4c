--- Failures go along links and nowhere else. Returns {what the trapper saw, how the family ended, who is left}.
local time = require("time")

local ways = {}

function ways.fails()
  error("failure")
end

function ways.fails_later()
  time.sleep(math.random(1, 3) .. "ms")
  error("failure")
end

function ways.returns()
  return "value"
end

function ways.stays()
  process.inbox():receive()
end

local WAYS = { "fails", "fails_later", "returns", "stays" }

local roles = {}

function roles.child(way)
  return ways[way]()
end

local function spawn(how, ...)
  return (assert(process[how](process.id(), "app:processes", ...)))
end

-- Links to children in both ways; returns lines {way, whether it was linked, LINK_DOWN events}.
function roles.trapper()
  process.set_options({ trap_links = true })
  local lines, by_pid, stay = {}, {}, {}
  for _, how in ipairs({ "spawn_linked", "spawn" }) do
    for _, way in ipairs(WAYS) do
      local pid = spawn(how, "child", way)
      local line = { way, how == "spawn_linked" or process.link(pid) == true, 0 }
      lines[#lines + 1], by_pid[pid] = line, line
      if way == "stays" then
        stay[#stay + 1] = pid
      end
    end
  end
  local events, late = process.events(), time.after("2s")
  while true do
    local result = channel.select({ events:case_receive(), late:case_receive() })
    if result.channel == late then
      break
    end
    if result.value.kind == process.event.LINK_DOWN then
      by_pid[result.value.from][3] = by_pid[result.value.from][3] + 1
    end
  end
  for _, pid in ipairs(stay) do
    process.unlink(pid)
    process.terminate(pid)
  end
  return lines
end

-- Dies of its child's failure, and takes the other child along.
function roles.parent(main, way)
  process.send(main, "sibling", spawn("spawn_linked", "child", "stays"))
  process.send(main, "bystander", spawn("spawn", "child", "stays"))
  spawn("spawn_linked", "child", way)
  process.inbox():receive()
end

-- Is terminated while it spawns: the child must not be left behind.
function roles.hasty()
  spawn("spawn_linked", "child", "stays")
  process.inbox():receive()
end

local function lives(pid)
  return process.monitor(pid) == true
end

function roles.main()
  local siblings, bystanders, events = process.listen("sibling"), process.listen("bystander"), process.events()
  local trapper = spawn("spawn_monitored", "trapper")
  local families, saw, ended = { "fails", "fails_later" }, nil, {}
  for _, way in ipairs(families) do
    spawn("spawn_monitored", "parent", process.pid(), way)
  end
  for _ = 1, 3 do
    local hasty = spawn("spawn", "hasty")
    if math.random(2) == 1 then
      time.sleep("1ms")
    end
    process.terminate(hasty)
  end
  for _ = 1, #families + 1 do
    local event = events:receive()
    if event.from == trapper then
      saw = event.result.value
    else
      ended[#ended + 1] = event.result.error:message()
    end
  end
  time.sleep("1s")
  local left = {}
  for i = 1, #families do
    left[#left + 1] = lives(siblings:receive())
    local bystander = bystanders:receive()
    left[#left + 1] = lives(bystander)
    process.terminate(bystander)
  end
  return { saw, ended, left }
end

return function(role, ...)
  return roles[role](...)
end
