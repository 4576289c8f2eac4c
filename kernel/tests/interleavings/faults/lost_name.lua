--- Every second release of a name is forgotten.
local kernel = ...

local release_name, count = kernel.release_name, 0
function kernel.release_name(...)
  count = count + 1
  if not kernel.armed or count % 2 == 0 then
    return release_name(...)
  end
end
