--- Call options (reference, "call options"): from what programs and entries write to what the scheduler uses, in seconds.
local kernel = ...

local type, next = type, next

local DEFAULTS = { initial_delay = 0.1, max_delay = 10, backoff_factor = 2.0, jitter = 0.1 }

local function invalid(message)
  return nil, kernel.new_error(message, "Invalid", false)
end

local function parse_retry(given)
  if type(given) ~= "table" then
    return invalid("option retry must be a table")
  end
  local attempts = given.max_attempts or 3
  if type(attempts) ~= "number" or attempts < 1 then
    return invalid("option retry.max_attempts must be at least 1")
  end
  local policy = { max_attempts = attempts, retry_kinds = given.retry_kinds, skip_kinds = given.skip_kinds }
  for _, name in next, { "initial_delay", "max_delay" } do
    policy[name] = DEFAULTS[name]
    if given[name] ~= nil then
      local seconds, err = kernel.seconds(given[name], "ms")
      if not seconds then
        return nil, err
      end
      policy[name] = seconds
    end
  end
  for _, name in next, { "backoff_factor", "jitter" } do
    policy[name] = given[name] or DEFAULTS[name]
    if type(policy[name]) ~= "number" then
      return invalid("option retry." .. name .. " must be a number")
    end
  end
  return policy
end

--- Parse options: `timeout` and `retry` become what kernel.call takes; other keys are kept under `other`.
function kernel.call_options(given)
  if type(given) ~= "table" then
    return invalid("options must be a table")
  end
  local options, other = {}, nil
  for key, value in next, given do
    if key == "timeout" then
      local seconds, err = kernel.seconds(value, "ms")
      if not seconds then
        return nil, err
      end
      options.timeout = seconds > 0 and seconds or nil
    elseif key == "retry" then
      local policy, err = parse_retry(value)
      if not policy then
        return nil, err
      end
      options.retry = policy
    else
      other = other or {}
      other[key] = kernel.copy(value)
    end
  end
  options.other = other
  return options
end
