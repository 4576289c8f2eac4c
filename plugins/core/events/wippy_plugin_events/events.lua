--- Module events (manual page lua/core/events): publish, and subscribe by pattern.
local kernel = ...

local type, error, pcall, huge = type, error, pcall, math.huge
local S, command, new_error, copy = kernel.state, kernel.command, kernel.new_error, kernel.copy
local utf8_len = utf8.len

local function invalid(message)
  return nil, new_error("events." .. message, "Invalid", false)
end

-- Whether a value is text that names something.
local function is_name(value)
  return type(value) == "string" and value ~= "" and utf8_len(value) ~= nil
end

local methods = {}
local subscriptions = kernel.private_class("Subscription", methods, {
  __tostring = function()
    return "events.Subscription{}"
  end,
})

local function check(self, name)
  local state = subscriptions.state(self)
  if not state then
    error("bad argument #1 to '" .. name .. "' (Subscription expected)", 3)
  end
  return state
end

--- The channel that events arrive in.
function methods.channel(self)
  return check(self, "channel").channel.handle
end

--- Receive nothing more: the channel closes after what has arrived.
function methods.close(self)
  local state = check(self, "close")
  if state.closed then
    return true
  end
  state.closed = true
  return command("events.unsubscribe", state.sink)
end

local events = {}

--- Subscribe to a system, or a pattern, and to a kind, a pattern, or every kind.
function events.subscribe(system, kind)
  if not is_name(system) then
    return invalid("subscribe: system must be text that is not empty, got " .. kernel.type(system))
  elseif kind ~= nil and (type(kind) ~= "string" or not utf8_len(kind)) then
    return invalid("subscribe: kind must be text, got " .. kernel.type(kind))
  end
  local ok, err = kernel.permit("events.subscribe", system)
  if not ok then
    return nil, err
  end
  if kind == "" then
    kind = nil
  elseif kind == "*" then
    kind = "**" -- the manual's word for every kind, however many segments it has
  end
  local channel = kernel.new_channel(huge)
  local sink = kernel.open_sink(channel, S.proc)
  ok, err = command("events.subscribe", sink, system, kind)
  if not ok then
    kernel.sink_close(sink)
    return nil, err
  end
  return subscriptions.new({ channel = channel, sink = sink, closed = false })
end

--- Publish an event; true says that the bus has it.
function events.send(system, kind, path, data)
  if not is_name(system) then
    return invalid("send: system must be text that is not empty, got " .. kernel.type(system))
  elseif not is_name(kind) then
    return invalid("send: kind must be text that is not empty, got " .. kernel.type(kind))
  elseif not is_name(path) then
    return invalid("send: path must be text that is not empty, got " .. kernel.type(path))
  end
  local ok, err = kernel.permit("events.send", system)
  if not ok then
    return nil, err
  end
  if type(data) == "table" then
    ok, data = pcall(copy, data)
    if not ok then
      return nil, data
    end
  elseif type(data) == "function" or type(data) == "thread" then
    return invalid("send: data must be plain data, got " .. type(data))
  end
  return command("events.send", system, kind, path, data)
end

return events
