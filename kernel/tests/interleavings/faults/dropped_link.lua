--- Every third process that ends forgets its links first.
local kernel = ...

local count = 0
kernel.replace_local(kernel.exit, "tell_relations", function(tell_relations)
  return function(proc, ...)
    count = count + 1
    if kernel.armed and count % 3 == 0 then
      proc.links = nil
    end
    return tell_relations(proc, ...)
  end
end)
