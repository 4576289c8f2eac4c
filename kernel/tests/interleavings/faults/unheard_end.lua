--- Workers do not hear that a process of another worker, to which they sent, is gone.
local kernel = ...

local gone = kernel.signal_handlers.gone
function kernel.signal_handlers.gone(pid)
  if not kernel.armed then
    return gone(pid)
  end
end
