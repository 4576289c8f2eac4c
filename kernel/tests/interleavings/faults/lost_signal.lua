--- Every ninth reply of another worker is lost.
local kernel = ...

local reply, count = kernel.signal_handlers.reply, 0
function kernel.signal_handlers.reply(...)
  count = count + 1
  if not kernel.armed or count % 9 ~= 0 then
    return reply(...)
  end
end
