--- HTTP calls: an endpoint's function, run for a request, and the answer that its output or its value make.
--
-- Loaded once into every VM as an extension; only the VM in the event loop is connected and serves. A record is one
-- request while its function runs:
--   id, method, path, query    what the server knows of it; path and parameters are decoded
--   names, params              names of the path's parameters, their values in the same order (params.n)
--   status, content_type, headers   the head of the response so far; headers: lower-case name -> line
--   count, first, parts, size       its body so far: how many parts, the first of them, all if there are more, their bytes
--   answered   the function said something: its value no longer matters
--   started    the head of the response has left, so only body can follow
--   sse, chunked               what set_transfer asked for
--   handles    request, response: the handles, once the function asked for them
--   ended      the call is over: handles that somebody kept are of no use any more
-- `kernel.plugin_http` is shared with the module's chunks (request.lua, response.lua).
local kernel = ...

local type, select, next, pcall, concat, format = type, select, next, pcall, table.concat, string.format
local gmatch, find, sub = string.gmatch, string.find, string.sub
local status_of_coroutine = coroutine.status
local new_error, json_encode, error_fields = kernel.new_error, kernel.json_encode, kernel.error_fields
local start_call, run, codes, next_deadline, outbox_size =
  kernel.start_call, kernel.run, kernel.codes, kernel.next_deadline, kernel.outbox_size

local http = kernel.plugin_http or {}
kernel.plugin_http = http

local records = {} -- exchange id -> record
local python -- what Python connected: see connect
local limit, slice, monotonic

-- The answer ----------------------------------------------------------------------------------------------------------

local STATUS_OF = {
  Invalid = 400, PermissionDenied = 403, NotFound = 404, AlreadyExists = 409, Conflict = 409, RateLimited = 429,
  Unavailable = 503, Timeout = 504,
}

local NO_BODY = { [204] = true, [304] = true }

-- The type of a body whose writer named none, told from how it begins.
local function guess_type(body)
  if body == "" then
    return ""
  elseif find(body, "^%s*<!?[%a-][%a-]*[%s>]") then
    return "text/html; charset=utf-8"
  elseif find(sub(body, 1, 512), "[\0-\8\14-\26\28-\31]") then
    return "application/octet-stream"
  end
  return "text/plain; charset=utf-8"
end

--- Add to the body.
local function add_body(record, data)
  local n = record.count + 1
  if n == 1 then
    record.first = data
  elseif n == 2 then
    record.parts = { record.first, data }
  else
    record.parts[n] = data
  end
  record.count, record.size = n, record.size + #data
end
http.add_body = add_body

--- The body so far, which is taken away.
local function take_body(record)
  local n = record.count
  if n == 0 then
    return ""
  end
  record.count, record.size = 0, 0
  return n == 1 and record.first or concat(record.parts, "", 1, n)
end
http.take_body = take_body

--- Status, content type and header lines of a response whose head is about to leave.
local function head(record, body)
  local lines = ""
  if record.headers then
    local list, n = {}, 0
    for _, line in next, record.headers do
      n = n + 1
      list[n] = line
    end
    lines = concat(list)
  end
  local status = record.status or 200
  return status, record.content_type or (NO_BODY[status] and "" or guess_type(body)), lines
end
http.head = head

local function replace(record, status, content_type, body)
  record.status, record.content_type, record.headers = status, content_type, nil
  record.count, record.first = 1, body
end

local function write_error(record, status, message, kind)
  replace(record, status, "application/json", json_encode({ error = message, kind = kind }) or '{"error":"failed"}')
end

-- Decision 15: a value is the answer if the function wrote none.
local function write_value(record, value)
  if value == nil then
    return write_error(record, 500, "no response sent")
  end
  local body, err = value, nil
  if type(value) ~= "string" then
    body, err = json_encode(value)
  end
  if not body then
    return write_error(record, 500, err:message())
  end
  record.content_type = record.content_type or "application/json"
  record.count, record.first = 1, body
end

local function log_failure(frame, record, err)
  local message, kind, _, details, stack = error_fields(err)
  local fields = { method = record.method, path = record.path, kind = kind, details = details, stack = stack }
  local ok, packed = pcall(kernel.pack, { entry = frame.entry, pid = frame.pid, fields = fields })
  if not ok then
    fields.details = nil
    packed = kernel.pack({ entry = frame.entry, pid = frame.pid, fields = fields })
  end
  kernel.post(kernel.ops.LOG, "error", format("%s failed: %s", frame.entry, message), packed)
end

-- A call that is ended from outside has these kinds; what it had written so far is no answer then.
local ENDED = { Timeout = true, Canceled = true }

-- What a failed call answers. An error that the function returned is for the client; one that was raised is for the log.
local function write_failure(frame, record, err)
  local message, kind = error_fields(err)
  -- A coroutine that raised is dead; one that returned, or was ended from outside, is kept for the next task.
  if frame.main and status_of_coroutine(frame.main.co) == "dead" then
    log_failure(frame, record, err)
    write_error(record, 500, "internal server error")
  elseif not record.answered or ENDED[kind] then
    local status = record.too_large and kind == "Invalid" and 413 or STATUS_OF[kind] or 500
    if status == 500 then
      log_failure(frame, record, err)
    end
    write_error(record, status, message, kind ~= "" and kind or nil)
  end
end

local function finish(frame, value, err)
  local record = frame.waiter
  local id = record.id
  record.ended = true
  records[id] = nil
  if frame.timer then
    kernel.cancel_timer(frame.timer)
  end
  if record.gone then
    return
  end
  if record.started then
    if err ~= nil then
      log_failure(frame, record, err)
    end
    python.finish(id, take_body(record), err ~= nil)
  else
    if err ~= nil then
      write_failure(frame, record, err)
    elseif not record.answered then
      write_value(record, value)
    end
    if not record.direct then
      local body = take_body(record)
      python.answer(id, body, head(record, body))
    end
  end
end

-- The call ------------------------------------------------------------------------------------------------------------

local names_of = setmetatable({}, { __index = function(known, joined)
  local names = {}
  for name in gmatch(joined, "[^,]+") do
    names[#names + 1] = name
  end
  known[joined] = names
  return names
end })

local NONE = { n = 0 } -- the parameters of a path that has none; nobody changes them

local function refuse(record, entry, err)
  finish({ waiter = record, entry = entry }, nil, err)
end

local function begin(record, code, options)
  if code.defaults then
    options = kernel.merge_context(code.defaults, options or {})
  end
  local security = options and options.security
  if security then
    local identity = {}
    kernel.assume_identity(identity, security)
    options.actor, options.scope = options.actor or identity.actor, options.scope or identity.scope
  end
  local frame, err = start_call(code, record.params, nil, options, finish, record)
  if frame then
    frame.http = record
    record.frame = frame
  else
    refuse(record, code.id, err)
  end
end

-- A function whose code is not here yet, or a process that is called like one.
local function begin_later(record, entry, options)
  local code, err = kernel.load_code(entry)
  if record.gone then
    return
  elseif not code then
    return refuse(record, entry, err)
  elseif code.kind == "function" then
    return begin(record, code, options)
  end
  local value
  value, err = kernel.call(entry, kernel.copy_args(record.params), options)
  finish({ waiter = record, entry = entry }, value, err)
end

--- Serve a request: one crossing for most of them. Returns
--   0                                        the function waits: python.answer or python.finish will tell
--   1                                        it ended, and part of the response had left before: python.finish told
--   body, status, content type, header lines the whole answer
local function serve(id, entry, method, path, query, names, options, ...)
  local record = {
    id = id, method = method, path = path, query = query, names = names_of[names], direct = true, count = 0, size = 0,
    params = names == "" and NONE or { n = select("#", ...), ... },
  }
  if options then
    options = kernel.unpack(options)
  end
  local deadline = next_deadline()
  local code = codes[entry]
  if code and code.kind == "function" then
    begin(record, code, options)
  else
    kernel.spawn_task(kernel.system, begin_later, { n = 3, record, entry, options })
  end
  local more = run(limit, monotonic, slice > 0 and monotonic() + slice or 0)
  record.direct = nil
  if not record.ended then
    records[id] = record
    python.wake()
    return 0
  end
  if more or outbox_size() > 0 or next_deadline() ~= deadline then
    python.wake()
  end
  if record.started then
    return 1
  end
  local body = take_body(record)
  return body, head(record, body)
end

--- The client is gone, or the server stops: end the call. Nothing of it is answered any more.
local function cancel(id, reason)
  local record = records[id]
  if record then
    records[id] = nil
    record.gone, record.ended = true, true
    if record.frame then
      kernel.exit(record.frame, nil, new_error(reason, "Canceled", false))
    end
  end
end

--- Connect this VM to the server: how much to run in one crossing, and what Python offers, all of which only remembers
-- or looks up, and never calls into the VM.
local function connect(switches, seconds, ...)
  limit, slice, monotonic = switches, seconds, kernel.monotonic
  python = {}
  python.wake, python.answer, python.finish, python.send, python.header, python.headers, python.peer, python.body = ...
  http.python = python
end

return serve, cancel, connect
