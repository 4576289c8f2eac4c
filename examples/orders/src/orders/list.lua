--- GET /api/orders?limit=n
local http = require("http")
local repository = require("repository")

local function handler()
  local req, res = http.request(), http.response()
  local orders, err = repository.latest(tonumber(req:query("limit") or "") or 20)
  if err then
    res:set_status(500)
    res:write_json({ error = err:message() })
    return
  end
  res:write_json({ orders = orders })
end

return { handler = handler }
