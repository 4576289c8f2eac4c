--- Every fourth place of a process that ended is not given back.
local kernel = ...

local release_place, count = kernel.release_place, 0
function kernel.release_place(...)
  count = count + 1
  if not kernel.armed or count % 4 ~= 0 then
    return release_place(...)
  end
end
