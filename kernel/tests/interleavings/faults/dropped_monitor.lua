--- Every third process that ends tells none of the processes that monitor it.
local kernel = ...

local PYTHON = kernel.worker_count - 1 -- the test itself watches through a pid of Python's
local count = 0
kernel.replace_local(kernel.exit, "tell_relations", function(tell_relations)
  return function(proc, ...)
    count = count + 1
    if kernel.armed and count % 3 == 0 then
      for watcher in next, proc.monitors or {} do
        if kernel.locate(watcher) ~= PYTHON then
          proc.monitors[watcher] = nil
        end
      end
    end
    return tell_relations(proc, ...)
  end
end)
