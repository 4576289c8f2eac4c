--- Every seventh task that a channel should wake stays asleep.
local kernel = ...

local count = 0
kernel.replace_local(kernel.push, "ready", function(ready)
  return function(...)
    count = count + 1
    if not kernel.armed or count % 7 ~= 0 then
      return ready(...)
    end
  end
end)
