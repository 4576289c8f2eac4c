--- Producers, a consumer that selects, and a channel that closes under its senders.
-- Returns {values received, values that were sent, values received from the closed channel, sent to it, refused by it}.
local PRODUCERS, VALUES = 3, 8

return function()
  local outputs, finished, sent = {}, channel.new(PRODUCERS), 0
  for i = 1, PRODUCERS do
    outputs[i] = channel.new(i - 1)
    coroutine.spawn(function()
      for n = 1, VALUES do
        outputs[i]:send(i * 100 + n)
        sent = sent + 1
      end
      outputs[i]:close()
    end)
  end

  local short, accepted, refused = channel.new(1), 0, 0
  for i = 1, 4 do
    coroutine.spawn(function()
      if pcall(short.send, short, i) then
        accepted = accepted + 1
      else
        refused = refused + 1
      end
      finished:send(true)
    end)
  end

  local received, open = {}, { 1, 2, 3 }
  while #open > 0 do
    local cases = {}
    for i, index in ipairs(open) do
      cases[i] = outputs[index]:case_receive()
    end
    local result = channel.select(cases)
    if result.ok then
      received[#received + 1] = result.value
    else
      for i, index in ipairs(open) do
        if outputs[index] == result.channel then
          table.remove(open, i)
          break
        end
      end
    end
  end

  local drained = 0
  if select(2, short:receive()) then
    drained = 1
  end
  short:close()
  while select(2, short:receive()) do
    drained = drained + 1
  end
  for _ = 1, 4 do
    finished:receive()
  end
  return { received, sent, drained, accepted, refused }
end
