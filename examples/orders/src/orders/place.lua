--- Store a new order, tell the world, and queue it for the consumers.
local ctx = require("ctx")
local events = require("events")
local logger = require("logger")
local queue = require("queue")
local repository = require("repository")

local function place(order)
  if type(order.sku) ~= "string" or order.sku == "" then
    return nil, errors.new(errors.INVALID, "an order needs a sku")
  elseif math.type(order.quantity) ~= "integer" or order.quantity < 1 then
    return nil, errors.new(errors.INVALID, "an order needs a quantity of 1 or more")
  end
  local _, err = repository.insert(order)
  if err then
    return nil, errors.wrap(err, "storing the order")
  end
  _, err = queue.publish("app:placed", { id = order.id })
  if err then
    return nil, errors.wrap(err, "queueing the order")
  end
  events.send("orders", "order.placed", "/orders/" .. order.id, order)
  logger:info("order placed", { id = order.id, request_id = ctx.get("request_id") })
  return { id = order.id, status = "placed" }
end

return { place = place }
