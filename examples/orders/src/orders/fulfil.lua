--- Consumer of app:placed. An error gives the message back; after three tries it goes to app:failed.
local events = require("events")
local store = require("store")
local repository = require("repository")

local function fulfil(message)
  local order, err = repository.find(message.id)
  if err then
    return nil, err
  elseif order.status ~= "placed" then
    return true -- delivered twice: done already
  end
  local status
  status, err = repository.fulfil(order)
  if err then
    return nil, err
  end
  local cache = store.get("app:stock_cache")
  cache:delete(order.sku)
  cache:release()
  events.send("orders", "order." .. status, "/orders/" .. order.id, { id = order.id, sku = order.sku })
  return true
end

return { fulfil = fulfil }
