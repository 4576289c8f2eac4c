--- Spawning with settings: the builder that process.with_context and process.with_options give.
local kernel = ...

local type, select, pcall, next, sub = type, select, pcall, next, string.sub
local new_error, copy_args = kernel.new_error, kernel.copy_args

local function invalid(message)
  return new_error(message, "Invalid", false)
end

-- Who spawned in which way needs which permissions (manual page lua/core/process, "Multiple Permissions").
local function permit_spawn(id, host, options)
  local ok, err = kernel.permit("process.spawn", id)
  if ok and options.monitored then
    ok, err = kernel.permit("process.spawn.monitored", id)
  end
  if ok and options.linked then
    ok, err = kernel.permit("process.spawn.linked", id)
  end
  if ok and not options.monitored and not options.linked then
    ok, err = kernel.permit("process.host", host)
  end
  return ok, err
end

--- Spawn with options; returns pid or nil, Error.
local function spawn(options, id, host, ...)
  if type(id) ~= "string" or id == "" then
    return nil, invalid("process id is required, such as app.workers:task")
  elseif type(host) ~= "string" or host == "" then
    return nil, invalid("host id is required, such as app:processes")
  end
  local ok, err = permit_spawn(id, host, options)
  if not ok then
    return nil, err
  end
  local args
  ok, args = pcall(copy_args, { n = select("#", ...), ... })
  if not ok then
    return nil, args
  end
  return kernel.spawn(id, host, args, options)
end

local methods = {}
local class = kernel.private_class("Spawner", methods)

local function options_of(self, name)
  local state = class.state(self)
  if not state then
    error("bad argument #1 to '" .. name .. "' (Spawner expected)", 3)
  end
  return state.options
end

-- Spawners never change: every setting makes a new one.
local function with(options, changes)
  local merged = {}
  for key, value in next, options do
    merged[key] = value
  end
  for key, value in next, changes do
    merged[key] = value
  end
  return merged
end

local function set(self, name, changes)
  return class.new({ options = with(options_of(self, name), changes) })
end

function methods.with_context(self, values)
  local options = options_of(self, "with_context")
  if type(values) ~= "table" then
    return nil, invalid("with_context needs a table of values")
  end
  local ok, err = kernel.permit("process.context", "context")
  if not ok then
    return nil, err
  end
  return class.new({ options = with(options, { context = kernel.merge_context(options.context, kernel.copy(values)) }) })
end

function methods.with_options(self, values)
  local options = options_of(self, "with_options")
  if type(values) ~= "table" then
    return nil, invalid("with_options needs a table of options")
  end
  local ok, err = kernel.permit("process.context", "context")
  if not ok then
    return nil, err
  end
  local spawn_options = kernel.merge_context(options.spawn_options, kernel.copy(values))
  return class.new({ options = with(options, { spawn_options = spawn_options }) })
end

function methods.with_actor(self, actor)
  options_of(self, "with_actor")
  local ok, err = kernel.permit("process.security", "security")
  if not ok then
    return nil, err
  end
  return set(self, "with_actor", { actor = actor })
end

function methods.with_scope(self, scope)
  options_of(self, "with_scope")
  local ok, err = kernel.permit("process.security", "security")
  if not ok then
    return nil, err
  end
  return set(self, "with_scope", { scope = scope })
end

function methods.with_name(self, name)
  options_of(self, "with_name")
  if type(name) ~= "string" or name == "" then
    return nil, invalid("name is required")
  end
  return set(self, "with_name", { name = name })
end

function methods.with_message(self, topic, ...)
  local options = options_of(self, "with_message")
  if type(topic) ~= "string" or topic == "" then
    return nil, invalid("topic is required")
  elseif sub(topic, 1, 1) == "@" then
    return nil, invalid("topics that start with @ are reserved")
  end
  local messages = {}
  for i = 1, #(options.messages or {}) do
    messages[i] = options.messages[i]
  end
  local message = copy_args({ n = select("#", ...), ... })
  message.topic = topic
  messages[#messages + 1] = message
  return set(self, "with_message", { messages = messages })
end

local MODES = {
  spawn = {},
  spawn_monitored = { monitored = true },
  spawn_linked = { linked = true },
  spawn_linked_monitored = { monitored = true, linked = true },
}
for name, mode in next, MODES do
  methods[name] = function(self, id, host, ...)
    return spawn(with(options_of(self, name), mode), id, host, ...)
  end
end

kernel.plugin_process = { modes = MODES, spawn = spawn, new_spawner = function()
  return class.new({ options = {} })
end, invalid = invalid }
