--- Module queue (manual page lua/storage/queue): publishing, and the message that a consumer's handler works on.
local kernel = ...

local type, next, pcall, error = type, next, pcall, error
local S, new_error = kernel.state, kernel.new_error

local function invalid(message)
  return nil, new_error(message, "Invalid", false)
end

-- nil, or an Error for what is no queue id.
local function check_id(name, id)
  if type(id) ~= "string" or id == "" then
    local what = id == "" and "an empty string" or kernel.type(id)
    return new_error("queue." .. name .. ": id must be that of a queue entry, got " .. what, "Invalid", false)
  end
  return nil
end

-- Message -------------------------------------------------------------------------------------------------------------

local methods = {}
local class = kernel.private_class("Message", methods)

local function check(self, name)
  local state = class.state(self)
  if not state then
    error("bad argument #1 to '" .. name .. "' (Message expected)", 3)
  end
  return state
end

--- The message's unique id.
function methods.id(self)
  return check(self, "id").id
end

--- One header, or nil.
function methods.header(self, key)
  return kernel.copy(check(self, "header").headers[key])
end

--- All headers, as the program's own table.
function methods.headers(self)
  return kernel.copy(check(self, "headers").headers)
end

--- Say that the message is done before the handler ends; the first settlement counts.
function methods.ack(self)
  local state = check(self, "ack")
  return kernel.command("queue.ack", state.queue, state.token)
end

--- Say that the message failed before the handler ends.
function methods.nack(self)
  local state = check(self, "nack")
  return kernel.command("queue.nack", state.queue, state.token)
end

--- The message that the running handler was called with.
local function message()
  local attached = S.proc.attached
  local delivery = attached and attached.queue
  if not delivery then
    return invalid("queue.message: no message: this code was not called by a queue consumer")
  end
  local fields = kernel.unpack(delivery)
  return class.new({ queue = fields[1], token = fields[2], id = fields[3], headers = fields[4] })
end

-- Queues --------------------------------------------------------------------------------------------------------------

local function is_empty(data)
  return data == nil or (kernel.type(data) == "table" and next(kernel.view(data)) == nil)
end

local function check_headers(headers)
  if kernel.type(headers) ~= "table" then
    return new_error("queue.publish: headers must be a table, got " .. kernel.type(headers), "Invalid", false)
  end
  for key in next, kernel.view(headers) do
    if type(key) ~= "string" then
      return new_error("queue.publish: headers must have names, got a key of type " .. type(key), "Invalid", false)
    end
  end
  return nil
end

--- Put a message into a queue; waits while a bounded queue is full.
local function publish(id, data, headers)
  local err = check_id("publish", id)
  if err then
    return nil, err
  end
  if is_empty(data) then
    return invalid("queue.publish: the message is empty")
  end
  if headers ~= nil then
    err = check_headers(headers)
    if err then
      return nil, err
    end
  end
  local ok
  ok, err = kernel.permit("queue.publish", "")
  if not ok then
    return nil, err
  end
  ok, err = kernel.permit("queue.publish.queue", id)
  if not ok then
    return nil, err
  end
  local fine
  fine, ok, err = pcall(kernel.command, "queue.publish", id, data, headers)
  if not fine then
    return nil, ok -- data that contains itself
  end
  return ok, err
end

--- What the broker tells of a queue: message_count, ready, consumer_count.
local function info(id)
  local err = check_id("info", id)
  if err then
    return nil, err
  end
  return kernel.command("queue.info", id)
end

return { publish = publish, message = message, info = info }
