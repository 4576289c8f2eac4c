--- Every third message overtakes the one before it, if that is still unread.
local kernel = ...

local count = 0
kernel.replace_local(kernel.send, "deliver", function(deliver)
  return function(proc, ...)
    local kept = deliver(proc, ...)
    local inbox = proc.inbox
    count = count + 1
    if kernel.armed and count % 3 == 0 and inbox and inbox.last > inbox.first then
      local buf, last = inbox.buf, inbox.last
      buf[last], buf[last - 1] = buf[last - 1], buf[last]
    end
    return kept
  end
end)
