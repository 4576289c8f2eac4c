--- The module `funcs` (manual page lua/core/funcs): calling functions by id, now or later.
local kernel = ...

local type, select, pcall, format, find, setmetatable = type, select, pcall, string.format, string.find, setmetatable
local new_error, call, copy_args = kernel.new_error, kernel.call, kernel.copy_args

local function check_target(target)
  if type(target) ~= "string" or target == "" then
    return new_error("target is required: a function id such as app:get_user", "Invalid", false)
  end
  local colon = find(target, ":", 1, true)
  if not colon or colon == 1 then
    return new_error(format('target "%s" has no namespace: write namespace:name', target), "Invalid", false)
  elseif colon == #target then
    return new_error(format('target "%s" has no name: write namespace:name', target), "Invalid", false)
  end
  return nil
end

-- Arguments as the callee's own: packed and deep-copied; nil, Error for what cannot be passed.
local function own(...)
  local args = { n = select("#", ...), ... }
  for i = 1, args.n do
    if type(args[i]) ~= "string" and type(args[i]) ~= "number" then
      local ok, result = pcall(copy_args, args)
      if not ok then
        return nil, result
      end
      return args
    end
  end
  return args
end

local function run(options, target, ...)
  local ok, err = kernel.permit("funcs.call", target)
  if not ok then
    return nil, err
  end
  local args
  args, err = own(...)
  if not args then
    return nil, err
  end
  return call(target, args, options)
end

local function run_async(options, target, ...)
  local ok, err = kernel.permit("funcs.call", target)
  if not ok then
    return nil, err
  end
  local args
  args, err = own(...)
  if not args then
    return nil, err
  end
  return kernel.new_future(call, { n = 3, target, args, options })
end

-- Executor --------------------------------------------------------------------------------------------------------------

local methods = {}
local class = kernel.private_class("Executor", methods)

local function check(self, name)
  local executor = class.state(self)
  if not executor then
    error("bad argument #1 to '" .. name .. "' (Executor expected)", 3)
  end
  return executor
end

-- Executors never change: every setting makes a new one.
local function with(executor, field, value)
  local options = {}
  for key, existing in next, executor.options do
    options[key] = existing
  end
  options[field] = value
  return class.new({ options = options })
end

function methods.with_context(self, values)
  local executor = check(self, "with_context")
  if type(values) ~= "table" then
    return nil, new_error("with_context needs a table of values", "Invalid", false)
  end
  local ok, err = kernel.permit("funcs.context", "context")
  if not ok then
    return nil, err
  end
  return with(executor, "context", kernel.merge_context(executor.options.context, kernel.copy(values)))
end

function methods.with_actor(self, actor)
  local executor = check(self, "with_actor")
  local ok, err = kernel.permit("funcs.security", "security")
  if not ok then
    return nil, err
  end
  return with(executor, "actor", actor)
end

function methods.with_scope(self, scope)
  local executor = check(self, "with_scope")
  local ok, err = kernel.permit("funcs.security", "security")
  if not ok then
    return nil, err
  end
  return with(executor, "scope", scope)
end

function methods.with_options(self, options)
  local executor = check(self, "with_options")
  local parsed, err = kernel.call_options(options)
  if not parsed then
    return nil, err
  end
  local result = executor
  for field, value in next, parsed do
    result = class.state(with(result, field, value))
  end
  return class.new({ options = result.options })
end

function methods.call(self, target, ...)
  local executor = check(self, "call")
  local err = check_target(target)
  if err then
    return nil, err
  end
  return run(executor.options, target, ...)
end

methods["async"] = function(self, target, ...)
  local executor = check(self, "async")
  local err = check_target(target)
  if err then
    return nil, err
  end
  return run_async(executor.options, target, ...)
end

return {
  new = function()
    return class.new({ options = {} })
  end,
  call = function(target, ...)
    local err = check_target(target)
    if err then
      return nil, err
    end
    return run(nil, target, ...)
  end,
  ["async"] = function(target, ...)
    local err = check_target(target)
    if err then
      return nil, err
    end
    return run_async(nil, target, ...)
  end,
}
