--- Children that end in every way, watched by their parent and by an observer that comes later.
-- Returns for each child and watcher: {way, whether it was watched, {how it ended as the events tell, one each}}.
local time = require("time")

local ways = {}

function ways.returns()
  return "value"
end

function ways.fails()
  error("failure")
end

function ways.later()
  time.sleep(math.random(1, 4) .. "ms")
  return "value"
end

function ways.waits()
  process.inbox():receive()
end

local WAYS = { "returns", "fails", "later", "waits", "returns", "later" }

local roles = {}

function roles.child(way)
  return ways[way]()
end

-- Gather EXIT events until time is over.
local function gather(record)
  local events, late = process.events(), time.after("5s")
  while true do
    local result = channel.select({ events:case_receive(), late:case_receive() })
    if result.channel == late then
      return
    end
    local event = result.value
    local ends = record[event.from][3]
    ends[#ends + 1] = event.result.error and event.result.error:message() or event.result.value
  end
end

local function in_order(record, pids)
  local list = {}
  for i, pid in ipairs(pids) do
    list[i] = record[pid]
  end
  return list
end

function roles.observer(pids)
  local record = {}
  for i, pid in ipairs(pids) do
    record[pid] = { WAYS[i], false, {} }
    record[pid][2] = process.monitor(pid) == true
  end
  gather(record)
  return in_order(record, pids)
end

function roles.main()
  local record, pids = {}, {}
  for i, way in ipairs(WAYS) do
    pids[i] = assert(process.spawn_monitored(process.id(), "app:processes", "child", way))
    record[pids[i]] = { way, true, {} }
  end
  local observer = assert(process.spawn_monitored(process.id(), "app:processes", "observer", pids))
  record[observer] = { "observer", true, {} }
  time.sleep("2ms")
  for i, way in ipairs(WAYS) do
    if way == "waits" then
      assert(process.terminate(pids[i]))
    end
  end
  gather(record)
  local observed = record[observer][3][1]
  local own = in_order(record, pids)
  for _, line in ipairs(observed or {}) do
    own[#own + 1] = line
  end
  return own
end

return function(role, ...)
  return roles[role](...)
end
