--- Timers are set a tenth too short.
local kernel = ...

local set_timer = kernel.set_timer
function kernel.set_timer(delay, ...)
  return set_timer(kernel.armed and delay * 0.9 or delay, ...)
end
