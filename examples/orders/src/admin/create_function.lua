--- POST /api/functions {"name": …, "source": …}: put a function and its endpoint into the running registry.
--
-- From then on GET /api/functions/{name}/{argument} serves it. A name that exists gets the new source.
local http = require("http")
local registry = require("registry")

local function entries_for(name, source)
  local id = "app.made:" .. name
  return {
    {
      id = id,
      kind = "function.lua",
      meta = { type = "made" },
      data = { source = source, method = "main" },
    },
    {
      id = id .. ".endpoint",
      kind = "http.endpoint",
      meta = { router = "app:api_router" },
      data = { method = "GET", path = "/functions/" .. name .. "/{argument}", func = id },
    },
  }
end

local function handler()
  local req, res = http.request(), http.response()
  local body, err = req:body_json()
  if not err and (type(body.name) ~= "string" or not body.name:match("^[%w_]+$") or type(body.source) ~= "string") then
    err = errors.new(errors.INVALID, "name (letters, digits, _) and source are needed")
  end
  if err then
    res:set_status(http.STATUS.BAD_REQUEST)
    res:write_json({ error = err:message() })
    return
  end

  local changes = registry.snapshot():changes()
  for _, entry in ipairs(entries_for(body.name, body.source)) do
    if registry.get(entry.id) then
      changes:update(entry)
    else
      changes:create(entry)
    end
  end
  local version
  version, err = changes:apply()
  if err then
    res:set_status(http.STATUS.BAD_REQUEST)
    res:write_json({ error = err:message() })
    return
  end
  res:set_status(http.STATUS.CREATED)
  res:write_json({ version = version:id(), path = "/api/functions/" .. body.name .. "/{argument}" })
end

return { handler = handler }
