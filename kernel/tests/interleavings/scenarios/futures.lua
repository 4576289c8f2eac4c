--- Asynchronous calls of a small pool, some canceled. Returns {calls: {number, whether canceled, value or kind}, last call}.
local time = require("time")
local CALLS = 10

return function()
  local futures, canceled = {}, {}
  for i = 1, CALLS do
    futures[i] = funcs.async("app:double", i)
  end
  for i = 1, CALLS do
    if math.random(2) == 1 then
      if math.random(2) == 1 then
        time.sleep("1ms")
      end
      canceled[i] = futures[i]:cancel()
    end
  end
  local results = {}
  for i = 1, CALLS do
    local value, err
    if canceled[i] == nil then
      value, err = futures[i]:result()
    else
      time.sleep("1ms")
      value, err = futures[i]:result()
    end
    results[i] = { i, canceled[i] == true, err and err:kind() or value }
  end
  return { results, funcs.call("app:double", 50) }
end
