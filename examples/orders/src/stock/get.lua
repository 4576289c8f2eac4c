--- GET /api/stock/{sku}: from the cache for half a minute, else from the database.
local store = require("store")
local repository = require("repository")

local TTL = 30 -- seconds

local function get(sku)
  local cache, err = store.get("app:stock_cache")
  if err then
    return nil, err
  end
  local level = cache:get(sku)
  if level then
    return { sku = sku, level = level, cached = true }
  end
  level, err = repository.level(sku)
  if err then
    return nil, err
  end
  cache:set(sku, level, TTL)
  cache:release()
  return { sku = sku, level = level, cached = false }
end

return { get = get }
