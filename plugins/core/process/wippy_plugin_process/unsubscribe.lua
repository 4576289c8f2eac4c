--- The global `unsubscribe(channel)`: the channel stays open, and its topic goes to the inbox again.
local kernel = ...

return function(channel)
  local state = kernel.channel_state(channel)
  if not state then
    error("bad argument #1 to 'unsubscribe' (channel expected)", 2)
  end
  return kernel.unlisten(state, true)
end
