--- The global `process` (manual page lua/core/process).
local kernel = ...

local S = kernel.state
local type, select, pcall, next, sub, getmetatable = type, select, pcall, next, string.sub, getmetatable
local pid_of, new_error, copy_args = kernel.pid_of, kernel.new_error, kernel.copy_args
local spawning = kernel.plugin_process
local invalid = spawning.invalid

local library = {
  event = {
    CANCEL = kernel.EVENT.CANCEL,
    EXIT = kernel.EVENT.EXIT,
    LINK_DOWN = kernel.EVENT.LINK_DOWN,
    OUTDATED = kernel.EVENT.OUTDATED,
  },
}

function library.id()
  return S.proc.entry
end

function library.pid()
  return pid_of(S.proc)
end

-- Messages ------------------------------------------------------------------------------------------------------------

local function checked_topic(topic)
  if type(topic) ~= "string" or topic == "" then
    return nil, invalid("topic is required")
  elseif sub(topic, 1, 1) == "@" then
    return nil, invalid('topic "' .. topic .. '" is reserved: topics must not start with @')
  end
  return topic
end

local kernel_send = kernel.send

-- send raises only for values that cannot be copied, such as a table that contains itself.
local function settle(ok, sent, err)
  if ok then
    return sent, err
  end
  return nil, sent
end

function library.send(dest, topic, ...)
  if type(dest) ~= "string" or dest == "" then
    return nil, invalid("destination is required: a pid or a registered name")
  end
  local ok, err = checked_topic(topic)
  if not ok then
    return nil, err
  end
  ok, err = kernel.permit("process.send", dest)
  if not ok then
    return nil, err
  end
  if type((...)) == "table" or select("#", ...) > 1 then
    return settle(pcall(kernel_send, dest, topic, ...))
  end
  return kernel_send(dest, topic, ...)
end

library.inbox = kernel.inbox
library.events = kernel.events

function library.listen(topic, options)
  local ok, err = checked_topic(topic)
  if not ok then
    return nil, err
  end
  if options ~= nil and type(options) ~= "table" then
    return nil, invalid("listen options must be a table")
  end
  return kernel.listen(topic, options ~= nil and options.message == true)
end

function library.unlisten(channel)
  local state = kernel.channel_state(channel)
  if not state then
    return nil, invalid("channel is required: what listen returned")
  end
  return kernel.unlisten(state)
end

-- Spawning ------------------------------------------------------------------------------------------------------------

for name, mode in next, spawning.modes do
  library[name] = function(id, host, ...)
    return spawning.spawn(mode, id, host, ...)
  end
end

function library.exec(id, host, ...)
  if type(id) ~= "string" or id == "" then
    return nil, invalid("process id is required, such as app.workers:task")
  elseif type(host) ~= "string" or host == "" then
    return nil, invalid("host id is required, such as app:processes")
  end
  local ok, err = kernel.permit("process.exec", id)
  if ok then
    ok, err = kernel.permit("process.host", host)
  end
  if not ok then
    return nil, err
  end
  local args
  ok, args = pcall(copy_args, { n = select("#", ...), ... })
  if not ok then
    return nil, args
  end
  return kernel.exec(id, host, args, {})
end

function library.with_context(values)
  return spawning.new_spawner():with_context(values)
end

function library.with_options(options)
  return spawning.new_spawner():with_options(options)
end

-- Control -------------------------------------------------------------------------------------------------------------

local function checked_control(action, dest)
  if type(dest) ~= "string" or dest == "" then
    return nil, invalid("destination is required: a pid or a registered name")
  end
  return kernel.permit(action, dest)
end

function library.terminate(dest)
  local ok, err = checked_control("process.terminate", dest)
  if not ok then
    return nil, err
  end
  return kernel.control_process("terminate", dest)
end

function library.cancel(dest, reason)
  local ok, err = checked_control("process.cancel", dest)
  if not ok then
    return nil, err
  end
  if reason ~= nil and type(reason) ~= "string" then
    return nil, invalid("reason must be a string")
  end
  return kernel.control_process("cancel", dest, pid_of(S.proc), reason)
end

function library.monitor(dest)
  local ok, err = checked_control("process.monitor", dest)
  if not ok then
    return nil, err
  end
  return kernel.control_process("monitor", dest, pid_of(S.proc))
end

function library.unmonitor(dest)
  local ok, err = checked_control("process.unmonitor", dest)
  if not ok then
    return nil, err
  end
  return kernel.control_process("unmonitor", dest, pid_of(S.proc))
end

function library.link(dest)
  local ok, err = checked_control("process.link", dest)
  if not ok then
    return nil, err
  end
  return kernel.link_processes(dest)
end

function library.unlink(dest)
  local ok, err = checked_control("process.unlink", dest)
  if not ok then
    return nil, err
  end
  return kernel.unlink_processes(dest)
end

-- Options and upgrade -------------------------------------------------------------------------------------------------

local OPTIONS = { trap_links = true, upgradable = true }

function library.get_options()
  local proc = S.proc
  return { trap_links = proc.trap_links == true, upgradable = proc.upgradable == true }
end

function library.set_options(options)
  if type(options) ~= "table" then
    return false, invalid("options must be a table")
  end
  for key, value in next, options do
    if not OPTIONS[key] then
      return false, invalid('unknown process option "' .. kernel.tostring(key) .. '"; known are trap_links and upgradable')
    elseif type(value) ~= "boolean" then
      return false, invalid('process option "' .. key .. '" must be true or false')
    end
  end
  local proc = S.proc
  for key, value in next, options do
    proc[key] = value
  end
  return true
end

--- Become another entry, or the current version of the same; does not return.
function library.upgrade(id, ...)
  local proc = S.proc
  if not proc.home then
    return nil, invalid("only a process can be upgraded, not a function call")
  end
  local args = copy_args({ n = select("#", ...), ... })
  local code, err = kernel.load_code(id or proc.entry)
  if code and code.kind ~= "process" then
    code, err = nil, invalid(code.id .. " is a " .. code.kind .. ", not a process")
  end
  if not code then
    kernel.exit(proc, nil, err)
    return kernel.block()
  end
  kernel.upgrade(code, args)
end

-- Names ---------------------------------------------------------------------------------------------------------------

local LOCAL, EVENTUAL, CONSISTENT, STRONG = 0, 1, 2, 3
-- On one node every guarantee of the wider scopes holds already; they differ in the permission they need.
local SUFFIX = { [LOCAL] = "", [EVENTUAL] = ".eventual", [CONSISTENT] = ".consistent", [STRONG] = ".strong" }

local function check_name(name, scope)
  if type(name) ~= "string" or name == "" then
    return nil, invalid("name is required")
  elseif scope ~= nil and SUFFIX[scope] == nil then
    return nil, invalid("scope must be one of process.registry.LOCAL, EVENTUAL, CONSISTENT and STRONG")
  end
  return true
end

library.registry = {
  LOCAL = LOCAL,
  EVENTUAL = EVENTUAL,
  CONSISTENT = CONSISTENT,
  STRONG = STRONG,

  register = function(name, pid, scope)
    local own = pid_of(S.proc)
    local ok, err = check_name(name, scope)
    if ok and pid ~= nil and type(pid) ~= "string" then
      ok, err = nil, invalid("pid must be a string")
    end
    if ok then
      ok, err = kernel.permit("process.registry.register" .. SUFFIX[scope or LOCAL], name)
    end
    if ok and pid ~= nil and pid ~= own then
      ok, err = kernel.permit("process.registry.foreign", pid)
    end
    if not ok then
      return nil, err
    end
    if pid ~= nil and pid ~= own then
      return kernel.control_process("take_name", pid, name)
    end
    return kernel.register_name(name, own)
  end,

  lookup = function(name)
    local ok, err = check_name(name)
    if not ok then
      return nil, err
    end
    local pid = kernel.names[name]
    if not pid then
      return nil, new_error('name "' .. name .. '" is not registered', "NotFound", false)
    end
    return pid
  end,

  unregister = function(name, scope)
    local ok, err = check_name(name, scope)
    if ok then
      ok, err = kernel.permit("process.registry.unregister" .. SUFFIX[scope or LOCAL], name)
    end
    if not ok then
      return nil, err
    end
    return kernel.unregister_name(name)
  end,
}

return library
