--- Every timer fires again a little later.
local kernel = ...

local set_timer = kernel.set_timer
function kernel.set_timer(delay, fire, proc)
  return set_timer(delay, function(timer)
    fire(timer)
    if kernel.armed then
      set_timer(0.001, fire, proc)
    end
  end, proc)
end
