--- The VM's entry points for Python. Each is one crossing; what comes back goes through the outbox.
local kernel = ...

local S, post = kernel.state, kernel.post
local pack, unpack_value, unpack_values = kernel.pack, kernel.unpack, kernel.unpack_values
local new_error, next = kernel.new_error, next
local REPLY = kernel.ops.REPLY

local entry = {}

--- One slice: fire due timers, run what is runnable, and hand over the outbox.
-- Returns: still runnable, earliest deadline or nil, number of processes, then the outbox's values.
function entry.step(now, limit, deadline, lightest, lightest_load)
  S.lightest, S.lightest_load = lightest, lightest_load
  kernel.fire_timers(now)
  local more = kernel.run(limit, kernel.monotonic, deadline)
  if not more then
    local stalled = kernel.stalled()
    for i = 1, #stalled do
      kernel.exit(stalled[i], nil, new_error("all coroutines blocked with no pending operations", "Internal", false))
      more = true
    end
  end
  return more or kernel.outbox_size() > 5000, kernel.next_deadline(), kernel.process_count(), kernel.take_outbox()
end

--- A signal from another worker or from Python.
entry.signal = kernel.handle_signal

--- Python's answer to a command.
entry.complete = kernel.complete

--- Python pushes into, or closes, a sink.
entry.sink_push, entry.sink_close = kernel.sink_push, kernel.sink_close

-- Calls from Python ---------------------------------------------------------------------------------------------------

local calls = {} -- request id -> frame

local function answer(frame, value, err)
  local id = frame.waiter
  calls[id] = nil
  if frame.timer then
    kernel.cancel_timer(frame.timer)
  end
  if err == nil then
    local ok, data = pcall(pack, value)
    if ok then
      return post(REPLY, id, true, data)
    end
    err = data
  end
  post(REPLY, id, false, pack(err))
end

local function begin(id, code, args, options)
  if code.defaults then
    options = options and kernel.merge_context(code.defaults, options) or code.defaults
  end
  local frame, err = kernel.start_call(code, args, nil, options, answer, id)
  if frame then
    calls[id] = frame
  else
    post(REPLY, id, false, pack(err))
  end
end

-- What is more than starting a frame here: a process, retries, a worker elsewhere.
local function needs_task(code, options)
  return code.kind ~= "function" or (code.defaults and code.defaults.retry) or kernel.belongs_elsewhere(code, options)
end

local function begin_loading(id, entry_id, args, options)
  local code, err = kernel.load_code(entry_id)
  if not code then
    return post(REPLY, id, false, pack(err))
  end
  if needs_task(code, options) then
    local value
    options = kernel.merge_context(options, { token = "python." .. id })
    value, err = kernel.call(entry_id, args, options)
    if err then
      return post(REPLY, id, false, pack(err))
    end
    return post(REPLY, id, true, pack(value))
  end
  begin(id, code, args, options)
end

--- Call a function; the result is posted as a REPLY with the same id.
function entry.call(id, entry_id, args, options)
  args, options = unpack_values(args), options and unpack_value(options)
  local code = kernel.codes[entry_id]
  if code and not needs_task(code, options) then
    return begin(id, code, args, options)
  end
  kernel.spawn_task(kernel.system, begin_loading, { n = 4, id, entry_id, args, options })
end

--- The caller in Python is gone: end the call.
function entry.cancel_call(id)
  local frame = calls[id]
  if frame then
    kernel.exit(frame, nil, new_error("caller is gone", "Canceled", false))
  else
    kernel.abandon_elsewhere("python." .. id)
  end
end

-- What Python tells every worker -----------------------------------------------------------------------------------------

kernel.signal_handlers.changed = kernel.forget_code

function kernel.signal_handlers.installed(names)
  kernel.installed = {}
  for _, name in next, names do
    kernel.installed[name] = true
  end
end

--- A module that every entry sees without listing it.
function kernel.signal_handlers.always(record)
  kernel.define_module(record)
  kernel.always[#kernel.always + 1] = record.name
  kernel.base_scope[record.name] = kernel.module(record.name)
end

function kernel.signal_handlers.stop(pid, message)
  local proc = kernel.procs[pid]
  if proc then
    kernel.exit(proc, nil, new_error(message, "Canceled", false))
  end
end

--- The last slice failed: see kernel.panic.
entry.panic = kernel.panic

--- Compile a chunk and forget it; returns the complaint or nil.
entry.check = kernel.check_source

--- How much memory the VM uses, in bytes.
function entry.memory()
  return math.floor(collectgarbage("count") * 1024)
end

kernel.entry = entry
