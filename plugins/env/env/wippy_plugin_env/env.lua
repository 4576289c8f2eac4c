--- Module env (manual page lua/system/env): read and set the application's environment variables.
local kernel = ...

local type, utf8_len = type, utf8.len
local command, new_error = kernel.command, kernel.new_error

local function invalid(message)
  return nil, new_error("env." .. message, "Invalid", false)
end

local function permitted_name(name, operation)
  if type(name) ~= "string" or name == "" then
    return invalid(operation .. ": the name must be text that is not empty, got " .. kernel.type(name))
  elseif not utf8_len(name) then
    return invalid(operation .. ": the name must be valid UTF-8")
  end
  return kernel.permit("env." .. operation, name)
end

local env = {}

--- The value of a variable, by its public name or entry id.
function env.get(name)
  local ok, err = permitted_name(name, "get")
  if not ok then
    return nil, err
  end
  return command("env.get", name)
end

--- Set a variable.
function env.set(name, value)
  local ok, err = permitted_name(name, "set")
  if not ok then
    return nil, err
  end
  if type(value) == "number" then
    value = kernel.tostring(value)
  elseif type(value) ~= "string" then
    return invalid("set: the value must be text, got " .. kernel.type(value))
  end
  if not utf8_len(value) then
    return invalid("set: the value must be valid UTF-8")
  end
  return command("env.set", name, value)
end

--- All public variables that may be read and have a value.
function env.get_all()
  local names, err = command("env.names")
  if not names then
    return nil, err
  end
  local permitted = {}
  for i = 1, #names do
    if kernel.permit("env.get", names[i]) then
      permitted[#permitted + 1] = names[i]
    end
  end
  return command("env.get_all", permitted)
end

return env
