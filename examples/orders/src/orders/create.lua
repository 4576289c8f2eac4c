--- POST /api/orders {"sku": …, "quantity": …}
local http = require("http")
local uuid = require("uuid")

local function handler()
  local req, res = http.request(), http.response()
  local order, err = req:body_json()
  if err then
    res:set_status(http.STATUS.BAD_REQUEST)
    res:write_json({ error = err:message() })
    return
  end
  local id
  id, err = uuid.v7()
  if err then
    return nil, err
  end

  -- Whatever runs because of this request can tell which one it was: see the log line in place.lua.
  local request_id = req:header("X-Request-Id") or id
  local placed
  placed, err = funcs.new():with_context({ request_id = request_id }):call("app.orders:place", {
    id = id,
    sku = order.sku,
    quantity = order.quantity,
  })
  if err then
    res:set_status(errors.is(err, errors.INVALID) and 400 or 500)
    res:write_json({ error = err:message() })
    return
  end
  res:set_status(http.STATUS.CREATED)
  res:set_header("Location", "/api/orders/" .. id)
  res:write_json(placed)
end

return { handler = handler }
