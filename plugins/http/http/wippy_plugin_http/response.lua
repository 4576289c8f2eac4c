--- The response as an endpoint's function makes it (manual pages lua/http/http and http/endpoint). Methods return nothing
-- when they succeed, and an Error otherwise.
local kernel = ...

local type, error, next = type, error, next
local find, lower, concat = string.find, string.lower, table.concat
local new_error, S, command, json_encode = kernel.new_error, kernel.state, kernel.command, kernel.json_encode

local http = kernel.plugin_http or {}
kernel.plugin_http = http

local add_body = http.add_body

-- Bytes that gather before they leave by themselves, once the head has left or chunks were asked for.
local FLUSH_AT = 64 * 1024

local CHUNKED, SSE = "chunked", "sse"

local methods = {}
local class = kernel.private_class("http.Response", methods) -- its state is the record of the request
local state_of = class.state

local function invalid(message)
  return new_error(message, "Invalid", false)
end

-- The record of a response that can still be written; nil, Error when the call it belongs to is over.
local function open(self, name, level)
  local record = state_of(self)
  if not record then
    error("bad argument #1 to '" .. name .. "' (Response expected)", level or 3)
  end
  if record.ended then
    return nil, new_error(name .. ": the response is over", "Invalid", false, { type = "INVALID_STATE" })
  end
  return record
end

-- The same for what changes the head.
local function open_head(self, name)
  local record, err = open(self, name, 4)
  if record and record.started then
    return nil, new_error(name .. ": headers were sent already", "Invalid", false, { type = "INVALID_STATE" })
  end
  return record, err
end

-- The head ------------------------------------------------------------------------------------------------------------

function methods.set_status(self, code)
  local record, err = open_head(self, "set_status")
  if not record then
    return err
  elseif type(code) ~= "number" or code % 1 ~= 0 or code < 200 or code > 599 then
    return invalid("set_status: status must be an integer from 200 to 599, got " .. kernel.tostring(code))
  end
  record.status, record.answered = math.tointeger(code), true
end

-- The server itself says how long the body is and how it travels.
local OWN = { ["content-length"] = true, ["transfer-encoding"] = true }

local function set_header(record, name, value)
  if type(name) ~= "string" or not find(name, "^[%w!#$%%&'*+.^_`|~-]+$") then
    return invalid("set_header: " .. kernel.safe_tostring(name) .. " is not a header name")
  end
  value = type(value) == "number" and kernel.tostring(value) or value
  if type(value) ~= "string" then
    return invalid("set_header: value of " .. name .. " must be a string, got " .. kernel.type(value))
  elseif find(value, "[\0-\8\10-\31\127]") then
    return invalid("set_header: value of " .. name .. " contains a line break or another control character")
  end
  record.answered = true
  name = lower(name)
  if name == "content-type" then
    record.content_type = value
  elseif not OWN[name] then
    local headers = record.headers
    if not headers then
      headers = {}
      record.headers = headers
    end
    headers[name] = name .. ": " .. value .. "\r\n"
  end
end

function methods.set_header(self, name, value)
  local record, err = open_head(self, "set_header")
  if not record then
    return err
  end
  return set_header(record, name, value)
end

function methods.set_content_type(self, content_type)
  local record, err = open_head(self, "set_content_type")
  if not record then
    return err
  end
  return set_header(record, "content-type", content_type)
end

function methods.set_transfer(self, mode)
  local record, err = open_head(self, "set_transfer")
  if not record then
    return err
  elseif mode == CHUNKED then
    record.chunked = true
  elseif mode == SSE then
    record.chunked, record.sse = true, true
    record.content_type = "text/event-stream"
    set_header(record, "cache-control", "no-cache")
    set_header(record, "x-accel-buffering", "no")
  else
    return invalid('set_transfer: mode must be http.TRANSFER.CHUNKED or http.TRANSFER.SSE, got ' .. kernel.safe_tostring(mode))
  end
  record.answered = true
end

-- The body ------------------------------------------------------------------------------------------------------------

-- Send what gathered. Waits while the client is slower than the function.
local function flush(record)
  record.answered = true
  local python, room = http.python, nil
  local body = http.take_body(record)
  if record.started then
    if body == "" then
      return
    end
    room = python.send(record.id, body)
  else
    record.started = true
    room = python.send(record.id, body, http.head(record, body))
  end
  if not room then
    local ok, err = command("http.drain", record.id)
    if not ok then
      return new_error("write failed: " .. err:message(), "Internal", false, { type = "WRITE_FAILED" })
    end
  end
end

local function write(record, data)
  record.answered = true
  add_body(record, data)
  if record.size >= FLUSH_AT and (record.started or record.chunked) then
    return flush(record)
  end
end

function methods.write(self, data)
  local record, err = open(self, "write")
  if not record then
    return err
  elseif type(data) == "number" then
    data = kernel.tostring(data)
  elseif type(data) ~= "string" then
    return invalid("write: data must be a string, got " .. kernel.type(data))
  end
  return write(record, data)
end

function methods.write_json(self, value)
  local record, err = open(self, "write_json")
  if not record then
    return err
  end
  local text
  text, err = json_encode(value)
  if not text then
    return err
  end
  if not record.content_type then
    record.content_type = "application/json"
  end
  return write(record, text)
end

function methods.flush(self)
  local record, err = open(self, "flush")
  if not record then
    return err
  end
  return flush(record)
end

-- Server-sent events --------------------------------------------------------------------------------------------------

local function line_of(event, field)
  local value = event[field]
  if value == nil then
    return ""
  end
  value = kernel.tostring(value)
  if find(value, "[\r\n\0]") then
    return nil, invalid("write_event: " .. field .. " contains a line break")
  end
  return (field == "name" and "event" or field) .. ": " .. value .. "\n"
end

function methods.write_event(self, event)
  local record, err = open(self, "write_event")
  if not record then
    return err
  elseif type(event) ~= "table" then
    return invalid("write_event: event must be a table {name, data}, got " .. kernel.type(event))
  end
  local lines = {}
  for i, field in next, { "id", "retry", "name" } do
    lines[i], err = line_of(event, field)
    if not lines[i] then
      return err
    end
  end
  local data
  data, err = json_encode(event.data)
  if not data then
    return err
  end
  if not record.started and not record.sse then
    methods.set_transfer(self, SSE)
  end
  err = write(record, concat(lines) .. "data: " .. data .. "\n\n")
  return err or flush(record)
end

--- The response of the running function; nil, Error elsewhere.
function http.response()
  local record = S.proc.http
  if not record then
    return nil, new_error("no HTTP context: only the function of an http.endpoint has a response", "Internal", false)
  end
  local handle = record.response
  if not handle then
    handle = class.new(record)
    record.response = handle
  end
  return handle
end
