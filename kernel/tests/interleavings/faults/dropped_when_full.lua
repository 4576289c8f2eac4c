--- A message from another worker that finds the mailbox full is dropped.
local kernel = ...

kernel.replace_local(kernel.receive_signal, "deliver", function(deliver)
  return function(proc, message, force)
    if kernel.armed and force then
      return true
    end
    return deliver(proc, message, force)
  end
end)
