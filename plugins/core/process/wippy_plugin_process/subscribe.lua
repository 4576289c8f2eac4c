--- The global `subscribe(topic, channel)` (manual page lua/core/channel): messages of a topic go into a channel of one's own.
local kernel = ...

return function(topic, channel)
  if type(topic) ~= "string" or topic == "" then
    error("bad argument #1 to 'subscribe' (topic expected)", 2)
  end
  local state = kernel.channel_state(channel)
  if not state then
    error("bad argument #2 to 'subscribe' (channel expected)", 2)
  end
  kernel.listen(topic, false, state)
  return true
end
