--- An actor that counts what happens to orders, and answers who asks.
local events = require("events")

local function main()
  process.registry.register("order_watcher")
  local inbox, lifecycle = process.inbox(), process.events()
  local happened = events.subscribe("orders.*"):channel()
  local counts = {}

  while true do
    local r = channel.select {
      happened:case_receive(),
      inbox:case_receive(),
      lifecycle:case_receive(),
    }
    if r.channel == lifecycle then
      if r.value.type == process.event.CANCEL then
        break
      end
    elseif r.channel == happened then
      local kind = r.value.kind
      counts[kind] = (counts[kind] or 0) + 1
    elseif r.value:topic() == "stats" then
      process.send(r.value:from(), "stats", counts)
    elseif r.value:topic() == "crash" then
      error("asked to crash") -- the supervisor starts another
    end
  end
end

return { main = main }
