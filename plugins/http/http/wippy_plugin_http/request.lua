--- The request as an endpoint's function sees it (manual pages lua/http/http and http/endpoint).
local kernel = ...

local type, tonumber, next, error = type, tonumber, next, error
local find, match, gmatch, gsub, lower, char, sub = string.find, string.match, string.gmatch, string.gsub, string.lower, string.char, string.sub
local new_error, S, command = kernel.new_error, kernel.state, kernel.command

local MAX_BODY = 120 * 1024 * 1024
local BODY_TIMEOUT = 300000 -- milliseconds
local MAX_MEMORY = 32 * 1024 * 1024

local methods = {}
local class = kernel.private_class("http.Request", methods)

local function check(self, name)
  local request = class.state(self)
  if not request then
    error("bad argument #1 to '" .. name .. "' (Request expected)", 3)
  end
  return request
end

local http = kernel.plugin_http or {}
kernel.plugin_http = http

-- What the request line says ------------------------------------------------------------------------------------------

function methods.method(self)
  return check(self, "method").record.method
end

function methods.path(self)
  return check(self, "path").record.path
end

local function hex(digits)
  return char(tonumber(digits, 16))
end

local function decode(text)
  if find(text, "[%%+]") then
    return (gsub(gsub(text, "+", " "), "%%(%x%x)", hex))
  end
  return text
end

-- Parameters of the query in the order they came: name -> list of values.
local function query_of(record)
  local values = record.query_values
  if not values then
    values = {}
    for pair in gmatch(record.query, "[^&]+") do
      local name, value = match(pair, "^([^=]*)=(.*)$")
      name, value = decode(name or pair), decode(value or "")
      local list = values[name]
      if list then
        list[#list + 1] = value
      else
        values[name] = { value }
      end
    end
    record.query_values = values
  end
  return values
end

local function named(name, method)
  if type(name) ~= "string" then
    return new_error(method .. ": name must be a string, got " .. kernel.type(name), "Invalid", false)
  end
  return nil
end

function methods.query(self, name)
  local request = check(self, "query")
  local err = named(name, "query")
  if err then
    return nil, err
  end
  local list = query_of(request.record)[name]
  return list and list[1]
end

function methods.query_params(self)
  local params = {}
  for name, list in next, query_of(check(self, "query_params").record) do
    params[name] = table.concat(list, ",")
  end
  return params
end

function methods.param(self, name)
  local record = check(self, "param").record
  local err = named(name, "param")
  if err then
    return nil, err
  end
  local names = record.names
  for i = 1, #names do
    if names[i] == name then
      return record.params[i]
    end
  end
  return nil
end

function methods.params(self)
  local record = check(self, "params").record
  local params = {}
  for i = 1, #record.names do
    params[record.names[i]] = record.params[i]
  end
  return params
end

-- Headers -------------------------------------------------------------------------------------------------------------

local function header(request, name)
  return http.python.header(request.record.id, name)
end

function methods.header(self, name)
  local request = check(self, "header")
  local err = named(name, "header")
  if err then
    return nil, err
  end
  return header(request, lower(name))
end

function methods.headers(self)
  local headers = {}
  for name, value in gmatch(http.python.headers(check(self, "headers").record.id) or "", "([^\n]+)\n([^\n]*)\n") do
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return headers
end

function methods.content_type(self)
  return header(check(self, "content_type"), "content-type")
end

-- Bytes of the body: 0 without one, -1 when it comes in chunks and nobody knows.
local function content_length(request)
  local length = tonumber(header(request, "content-length") or "")
  if length then
    return math.tointeger(length) or 0
  end
  return header(request, "transfer-encoding") and -1 or 0
end

function methods.content_length(self)
  return content_length(check(self, "content_length"))
end

function methods.has_body(self)
  return content_length(check(self, "has_body")) ~= 0
end

function methods.host(self)
  return header(check(self, "host"), "host")
end

function methods.remote_addr(self)
  return http.python.peer(check(self, "remote_addr").record.id)
end

-- Text without blanks around it, in time that grows with the text only: headers are the client's.
local function trim(text)
  local first, last = match(text, "^[ \t]*()"), #text
  while last >= first and find(text, "^[ \t]", last) do
    last = last - 1
  end
  return sub(text, first, last)
end

function methods.is_content_type(self, wanted)
  local request = check(self, "is_content_type")
  local err = named(wanted, "is_content_type")
  if err then
    return nil, err
  end
  local actual = header(request, "content-type")
  return actual ~= nil and lower(trim(match(actual, "^[^;]*"))) == lower(trim(match(wanted, "^[^;]*")))
end

--- Whether the client takes this media type: by the Accept header, in which the most specific range decides.
function methods.accepts(self, wanted)
  local request = check(self, "accepts")
  local err = named(wanted, "accepts")
  if err then
    return nil, err
  end
  local accept = header(request, "accept")
  if accept == nil or accept == "" then
    return true
  end
  wanted = lower(trim(match(wanted, "^[^;]*")))
  local group = match(wanted, "^([^/]*)/")
  local best, quality = 0, 0
  for range in gmatch(accept, "[^,]+") do
    local name = lower(trim(match(range, "^[^;]*")))
    local rank = name == wanted and 3 or (group and name == group .. "/*" and 2) or (name == "*/*" and 1) or 0
    if rank > best then
      best, quality = rank, tonumber(match(range, ";%s*[qQ]%s*=%s*([%d.]+)") or "1") or 1
    end
  end
  return quality > 0
end

-- The body ------------------------------------------------------------------------------------------------------------

local function module_error(message, kind, name)
  return new_error(message, kind, false, { type = name })
end

local function too_large(request)
  request.record.too_large = true
  return module_error("request body is larger than " .. request.max_body .. " bytes (max_body)", "Invalid", "PARSE_FAILED")
end

-- Read what the client sent, all of it: the text, or nil and an Error.
local function read_body(request)
  local record = request.record
  if record.body then
    return record.body
  elseif record.ended then
    return nil, module_error("the request is over", "Internal", "STREAM_ERROR")
  elseif record.streamed then
    return nil, module_error("the body was taken as a stream", "Invalid", "STREAM_ERROR")
  end
  local length = content_length(request)
  if length > request.max_body then
    return nil, too_large(request)
  end
  local body, err
  if length ~= 0 then
    body = http.python.body(record.id)
    if not body then
      body, err = command("http.body", record.id, request.max_body, request.timeout)
      if body == false then
        return nil, too_large(request)
      end
    end
  else
    body = ""
  end
  if not body then
    return nil, err
  elseif #body > request.max_body then
    return nil, too_large(request)
  end
  record.body = body
  return body
end

function methods.body(self)
  return read_body(check(self, "body"))
end

function methods.body_json(self)
  local request = check(self, "body_json")
  local body, err = read_body(request)
  if not body then
    return nil, err
  end
  local value
  value, err = kernel.json_decode(body)
  if err then
    return nil, new_error("request body is not JSON: " .. err:message(), "Invalid", false, { type = "PARSE_FAILED" })
  end
  return value
end

-- Streams: of the body, and of uploaded files -------------------------------------------------------------------------

local stream_methods = {}
local stream_class = kernel.private_class("http.Stream", stream_methods)

local function check_stream(self, name)
  local stream = stream_class.state(self)
  if not stream then
    error("bad argument #1 to '" .. name .. "' (Stream expected)", 3)
  end
  return stream
end

--- Up to `size` bytes, all that is left for 0 or nothing; nil at the end.
function stream_methods.read(self, size)
  local stream = check_stream(self, "read")
  if size ~= nil and (type(size) ~= "number" or size < 0 or size % 1 ~= 0) then
    return nil, new_error("read: size must be a non-negative integer", "Invalid", false)
  elseif stream.closed then
    return nil, module_error("the stream is closed", "Invalid", "STREAM_ERROR")
  end
  return stream.read(size and math.tointeger(size) or 0)
end

function stream_methods.close(self)
  check_stream(self, "close").closed = true
  return true
end

function methods.stream(self)
  local request = check(self, "stream")
  local record = request.record
  local kept = record.body
  if kept == nil then
    if record.ended then
      return nil, module_error("the request is over", "Internal", "STREAM_ERROR")
    end
    if content_length(request) > request.max_body then
      return nil, too_large(request)
    end
    record.streamed = true
  end
  local function read(size)
    if kept ~= nil then
      local chunk = size == 0 and kept or sub(kept, 1, size)
      kept = sub(kept, #chunk + 1)
      return chunk ~= "" and chunk or nil
    end
    local chunk, err = command("http.read", record.id, size, request.max_body, request.timeout)
    if chunk == false then
      return nil, too_large(request)
    end
    return chunk, err
  end
  return stream_class.new({ read = read })
end

-- Forms ---------------------------------------------------------------------------------------------------------------

local file_methods = {}
local file_class = kernel.private_class("http.File", file_methods)

local function check_file(self, name)
  local file = file_class.state(self)
  if not file then
    error("bad argument #1 to '" .. name .. "' (File expected)", 3)
  end
  return file
end

function file_methods.name(self)
  return check_file(self, "name").info.name
end

function file_methods.size(self)
  return check_file(self, "size").info.size
end

function file_methods.header(self, name)
  local file = check_file(self, "header")
  local err = named(name, "header")
  if err then
    return nil, err
  end
  return file.info.headers[lower(name)]
end

function file_methods.stream(self)
  local file = check_file(self, "stream")
  local position = 0
  return stream_class.new({ read = function(size)
    local chunk, err = command("http.file", file.record.id, file.info.index, position, size)
    position = position + (chunk and #chunk or 0)
    return chunk, err
  end })
end

function methods.parse_multipart(self, max_memory)
  local request = check(self, "parse_multipart")
  local record = request.record
  if max_memory ~= nil and (type(max_memory) ~= "number" or max_memory < 0 or max_memory % 1 ~= 0) then
    return nil, new_error("parse_multipart: max_memory must be a number of bytes", "Invalid", false)
  elseif record.form then
    return record.form
  elseif record.body or record.streamed then
    return nil, module_error("the body was read already", "Invalid", "STREAM_ERROR")
  elseif not methods.is_content_type(self, "multipart/form-data") then
    return nil, module_error("the request is not multipart/form-data", "Invalid", "PARSE_FAILED")
  elseif content_length(request) > request.max_body then
    return nil, too_large(request)
  end
  record.streamed = true
  local parsed, err = command("http.multipart", record.id, max_memory and math.tointeger(max_memory) or MAX_MEMORY,
    request.max_body, request.timeout)
  if parsed == false then
    return nil, too_large(request)
  elseif not parsed then
    return nil, err
  end
  local files = {}
  for name, list in next, parsed.files do
    files[name] = {}
    for i = 1, #list do
      files[name][i] = file_class.new({ info = list[i], record = record })
    end
  end
  record.form = { values = parsed.values, files = files }
  return record.form
end

-- The handle ----------------------------------------------------------------------------------------------------------

local function natural(options, name, default)
  local value = options[name]
  if value == nil then
    return default
  elseif type(value) ~= "number" or value < 0 or value % 1 ~= 0 then
    return nil, new_error("http.request: " .. name .. " must be a non-negative integer", "Invalid", false)
  end
  return math.tointeger(value)
end

--- The request that the running function answers; nil, Error elsewhere. `options`: timeout (ms) and max_body (bytes).
function http.request(options)
  local record = S.proc.http
  if not record then
    return nil, new_error("no HTTP context: only the function of an http.endpoint has a request", "Internal", false)
  end
  if options == nil then
    local handle = record.request
    if not handle then
      handle = class.new({
        record = record, timeout = BODY_TIMEOUT, max_body = MAX_BODY, __index = 0, __newindex = 0, __metatable = 0, __name = 0,
      })
      record.request = handle
    end
    return handle
  elseif type(options) ~= "table" then
    return nil, new_error("http.request: options must be a table, got " .. kernel.type(options), "Invalid", false)
  end
  local timeout, max_body, err
  timeout, err = natural(options, "timeout", BODY_TIMEOUT)
  if timeout then
    max_body, err = natural(options, "max_body", MAX_BODY)
  end
  if err then
    return nil, err
  end
  return class.new({ record = record, timeout = timeout, max_body = max_body })
end
