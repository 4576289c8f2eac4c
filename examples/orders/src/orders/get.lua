--- GET /api/orders/{id}
local repository = require("repository")

local function get(id)
  return repository.find(id)
end

return { get = get }
