--- Exploration (tests only, wippy.scheduler.simulation): the tasks of a pass run in an order that the seed decides.
--
-- The random source is its own, so that programs draw the same numbers whether they are explored or not.
local kernel = ...

local state = kernel.exploration_seed

-- A linear congruential generator; its low bits are poor, so the high ones are used.
local function draw(n)
  state = (state * 6364136223846793005 + 1442695040888963407) & 0x7fffffffffffffff
  return (state >> 24) % n + 1
end

--- Permute the tasks of a pass.
function kernel.reorder(pass, size)
  for i = size, 2, -1 do
    local j = draw(i)
    pass[i], pass[j] = pass[j], pass[i]
  end
end

--- Replace a local function of the kernel, which other functions see as upvalue `name` of `fn`, by wrap(original).
-- Every function of that chunk sees the new one. Raises an error if there is no such upvalue.
function kernel.replace_local(fn, name, wrap)
  for i = 1, 255 do
    local found, value = debug.getupvalue(fn, i)
    if found == nil then
      error("no local " .. name .. " to replace", 2)
    elseif found == name then
      debug.setupvalue(fn, i, wrap(value))
      return
    end
  end
end

-- A process stays near its parent as long as it can; here it may go anywhere.
kernel.replace_local(kernel.spawn, "place", function()
  return function(host)
    return host.workers[draw(#host.workers)]
  end
end)
