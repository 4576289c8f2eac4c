--- An upgrade throws away what waits in the inbox.
local kernel = ...

local upgrade = kernel.upgrade
function kernel.upgrade(...)
  if kernel.armed then
    kernel.state.proc.inbox = nil
  end
  return upgrade(...)
end
