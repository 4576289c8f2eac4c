--- Closing a channel does not wake those who wait to send.
local kernel = ...

kernel.replace_local(kernel.close_channel, "take", function(take)
  return function(channel, first, rest)
    if kernel.armed and channel.closed and first == "sender" then
      return nil
    end
    return take(channel, first, rest)
  end
end)
