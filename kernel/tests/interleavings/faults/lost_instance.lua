--- A function call that ends early does not give its instance back.
local kernel = ...

local release_instance = kernel.release_instance
function kernel.release_instance(frame)
  if not kernel.armed or frame.reply then
    return release_instance(frame)
  end
end
