--- GET /api/stats: ask the watcher, and do not wait for ever.
local http = require("http")
local time = require("time")

local function handler()
  local res = http.response()
  local answers = process.listen("stats")
  local _, err = process.send("order_watcher", "stats")
  if err then
    res:set_status(http.STATUS.SERVICE_UNAVAILABLE)
    res:write_json({ error = err:message() })
    return
  end
  local timeout = time.after("2s")
  local r = channel.select { answers:case_receive(), timeout:case_receive() }
  if r.channel == timeout then
    res:set_status(http.STATUS.GATEWAY_TIMEOUT)
    res:write_json({ error = "the watcher did not answer" })
    return
  end
  res:write_json({ counts = r.value })
end

return { handler = handler }
