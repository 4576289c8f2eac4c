--- Function calls: pools of instances, and the call frames that run in them.
--
-- A frame is a process record without the expensive parts: it has a context, may block, spawn and receive like any
-- process, and gets a pid when something asks for it. An instance serves one frame at a time and keeps its module-level
-- state between calls.
local kernel = ...

local S, ready, block, start_task = kernel.state, kernel.ready, kernel.block, kernel.start_task
local new_error, copy, is_error = kernel.new_error, kernel.copy, kernel.is_error
local type, next, format, unpack = type, next, string.format, table.unpack
local exit = kernel.exit

local DEFAULT_INSTANCES = 100
local WAITING_PER_INSTANCE = 64

local pools = {} -- id -> pool

local function new_pool(code)
  local settings = code.pool or {}
  local limit = settings.max_size or settings.size or settings.workers or DEFAULT_INSTANCES
  local pool = {
    code = code,
    idle = {},
    idle_count = 0,
    total = 0,
    limit = limit,
    buffer = settings.buffer or limit * WAITING_PER_INSTANCE,
    line = {},
    first = 1,
    last = 0,
  }
  pools[code.id] = pool
  return pool
end

--- Let running calls of a changed entry finish on the old code, and new ones begin on the new.
function kernel.retire_pool(id)
  pools[id] = nil
end

-- Frames --------------------------------------------------------------------------------------------------------------

local function run_first(code, args)
  return kernel.instantiate(code).main(unpack(args, 1, args.n))
end

local function start(frame, args)
  local pool = frame.pool
  local count = pool.idle_count
  if count > 0 then
    local instance = pool.idle[count]
    pool.idle[count] = nil
    pool.idle_count = count - 1
    frame.instance = instance
    frame.main = start_task(frame, instance.main, args, kernel.main_ended)
  else
    pool.total = pool.total + 1
    frame.main = start_task(frame, run_first, { n = 2, pool.code, args }, kernel.main_ended)
  end
end

--- A frame ended: its instance serves the next in line, unless its chunk never finished.
function kernel.release_instance(frame)
  local pool = frame.pool
  if frame.waits then
    frame.waits = nil -- ended while it stood in line
    return
  end
  local instance = frame.instance
  if instance and instance.main then
    pool.idle_count = pool.idle_count + 1
    pool.idle[pool.idle_count] = instance
  else
    pool.total = pool.total - 1
  end
  while pool.first <= pool.last do
    local waiting = pool.line[pool.first]
    pool.line[pool.first] = nil
    pool.first = pool.first + 1
    if not waiting.frame.ended then
      waiting.frame.waits = nil
      return start(waiting.frame, waiting.args)
    end
  end
end

local function expire(timer)
  local frame = timer.frame
  frame.timer = nil
  exit(frame, nil, new_error(format("call of %s timed out after %g s", frame.entry, timer.seconds), "Timeout", true))
end

--- Start a call. `args` is a packed table that belongs to the callee; `reply(frame, value, err)` gets the result.
-- `options`: context, actor, scope (nil: inherit from `parent`), timeout in seconds; `attached`, a table that plugins read
-- from the frame by their own key: it is inherited like the context, but `ctx` does not show it.
-- Returns the frame, or nil and an Error when the pool's line is full.
function kernel.start_call(code, args, parent, options, reply, waiter)
  local pool = pools[code.id] or new_pool(code)
  local frame = { host = "functions", entry = code.id, code = code, pool = pool, pending = 0, reply = reply, waiter = waiter }
  if parent then
    frame.context, frame.actor, frame.scope = parent.context, parent.actor, parent.scope
    frame.attached = parent.attached
  end
  if options then
    frame.attached = options.attached or frame.attached
    if options.context then
      frame.context = kernel.merge_context(frame.context, options.context)
    end
    frame.actor, frame.scope = options.actor or frame.actor, options.scope or frame.scope
    if options.timeout then
      local timer = kernel.set_timer(options.timeout, expire)
      timer.frame, timer.seconds = frame, options.timeout
      frame.timer = timer
    end
  end
  if code.security then
    kernel.assume_identity(frame, code.security)
  end
  if pool.idle_count > 0 or pool.total < pool.limit then
    start(frame, args)
  elseif pool.last - pool.first + 1 < pool.buffer then
    pool.last = pool.last + 1
    pool.line[pool.last] = { frame = frame, args = args }
    frame.waits = true
  else
    return nil,
      new_error(
        format("%s: all %d instances are busy and %d calls wait (pool.max_size, pool.buffer)", code.id, pool.limit, pool.buffer),
        "RateLimited", true
      )
  end
  return frame
end

--- Let a frame or process run as the identity that its entry, or its service, names.
function kernel.assume_identity(proc, security)
  if security.actor then
    proc.actor = { id = security.actor.id, meta = security.actor.meta }
  end
  if security.policies or security.groups then
    proc.scope = { policies = security.policies or {}, groups = security.groups or {} }
  end
end

--- Ask whether the running code may do `action` on `resource`: true, or nil and an Error(PermissionDenied). Everything
-- is allowed until a security plugin replaces this; so it is looked up at every call.
function kernel.permit()
  return true
end

--- Merge context values into what is inherited, without changing the inherited table.
function kernel.merge_context(base, values)
  local merged = {}
  for key, value in next, base or {} do
    merged[key] = value
  end
  for key, value in next, values do
    merged[key] = value
  end
  return merged
end

-- Calls from Lua ------------------------------------------------------------------------------------------------------

local function wake(frame, value, err)
  local task = frame.waiter
  local parent = task.proc
  parent.pending = parent.pending - 1
  if parent.children then
    parent.children[frame] = nil
  end
  if frame.timer then
    kernel.cancel_timer(frame.timer)
  end
  if type(value) == "table" then
    local ok, copied = pcall(copy, value)
    if not ok then
      value, err = nil, copied
    else
      value = copied
    end
  elseif value ~= nil then
    value = kernel.scalar(value)
  end
  ready(task, value, err)
end

local function copy_args(args)
  for i = 1, args.n do
    local value = args[i]
    if type(value) == "table" then
      args[i] = copy(value)
    elseif type(value) == "function" or type(value) == "thread" then
      args[i] = nil
    end
  end
  return args
end
kernel.copy_args = copy_args

local last_child = 0

-- Calls that end with their caller: frame -> number, in the order they began.
local function adopt(parent, frame)
  local children = parent.children
  if not children then
    children = {}
    parent.children = children
  end
  last_child = last_child + 1
  children[frame] = last_child
  parent.pending = parent.pending + 1
end

-- A function that once held the event loop's worker for long runs elsewhere from then on, if there is an elsewhere.
local function belongs_elsewhere(code, options)
  return code.heavy and kernel.worker_index == 0 and (S.lightest or 0) ~= 0 and not (options and options.attached)
end

local hosted = {} -- token -> frame of a call that another worker asked for
local sent_away = {} -- token -> worker that runs a call of ours
local last_token = 0

kernel.may_wait.call = true
function kernel.requests.call(id, args, options)
  local code, err = kernel.load_code(id)
  if not code then
    return nil, err
  end
  local frame
  frame, err = kernel.start_call(code, args, nil, options, function(ended, value, failure)
    hosted[options.token] = nil
    if ended.timer then
      kernel.cancel_timer(ended.timer)
    end
    ready(ended.waiter, value, failure)
  end, S.task)
  if not frame then
    return nil, err
  end
  hosted[options.token] = frame
  return block()
end

function kernel.signal_handlers.abandon_call(token)
  local frame = hosted[token]
  if frame then
    exit(frame, nil, new_error("caller ended", "Canceled", false))
  end
end

--- Give up a call that runs on another worker; nothing if it has ended.
function kernel.abandon_elsewhere(token)
  local worker = sent_away[token]
  if worker then
    kernel.signal(worker, "abandon_call", token)
  end
end

local function call_elsewhere(code, args, parent, options)
  options = options or {}
  last_token = last_token + 1
  local token = options.token or kernel.worker_index .. "." .. last_token
  sent_away[token] = S.lightest
  parent.cleanup = parent.cleanup or {}
  parent.cleanup[token] = function()
    kernel.abandon_elsewhere(token)
  end
  local value, err = kernel.request(S.lightest, "call", code.id, args, {
    token = token,
    context = options.context and kernel.merge_context(parent.context, options.context) or parent.context,
    actor = options.actor or parent.actor,
    scope = options.scope or parent.scope,
    timeout = options.timeout,
  })
  sent_away[token] = nil
  parent.cleanup[token] = nil
  return value, err
end

local function call_once(code, args, options)
  if code.kind == "function" then
    local parent = S.proc
    if belongs_elsewhere(code, options) then
      return call_elsewhere(code, args, parent, options)
    end
    local frame, err = kernel.start_call(code, args, parent, options, wake, S.task)
    if not frame then
      return nil, err
    end
    adopt(parent, frame)
    return block()
  elseif code.kind == "process" then
    return kernel.call_process(code, args, options)
  end
  return nil, new_error(code.id .. " is a " .. code.kind .. ", not a function", "Invalid", false)
end

local NEVER_RETRIED = { Invalid = true, PermissionDenied = true, Internal = true }

local function listed(kinds, kind)
  for i = 1, #kinds do
    if kernel.kind_named(kinds[i]) == kind then
      return true
    end
  end
  return false
end

local function may_retry(err, policy)
  local _, kind, retryable = kernel.error_fields(err)
  if policy.retry_kinds then
    return listed(policy.retry_kinds, kind)
  end
  if retryable == false or NEVER_RETRIED[kind] then
    return false
  end
  return not (policy.skip_kinds and listed(policy.skip_kinds, kind))
end

-- The options of one call: what the entry says, overridden by what the caller says.
local function effective(defaults, options)
  return options and kernel.merge_context(defaults, options) or defaults
end

kernel.belongs_elsewhere = belongs_elsewhere

--- Call a function by id with packed args that belong to the callee; waits. Returns value, err.
-- `options` adds to those of kernel.start_call: retry, as kernel.call_options parses it.
function kernel.call(id, args, options)
  local code, err = kernel.load_code(id)
  if not code then
    return nil, err
  end
  if code.defaults then
    options = effective(code.defaults, options)
  end
  local policy = options and options.retry
  if not policy then
    return call_once(code, args, options)
  end
  local delay = policy.initial_delay
  for attempt = 1, policy.max_attempts do
    local own = { n = args.n }
    for i = 1, args.n do
      own[i] = kernel.copy(args[i])
    end
    local value
    value, err = call_once(code, own, options)
    if not is_error(err) or attempt == policy.max_attempts or not may_retry(err, policy) then
      return value, err
    end
    kernel.sleep(delay * (1 + policy.jitter * (2 * kernel.random() - 1)))
    delay = math.min(delay * policy.backoff_factor, policy.max_delay)
    code = kernel.load_code(id) or code -- it may have changed while we waited
  end
end

--- Abandon a task of a future: the task and the calls that it waits for end.
function kernel.abandon(task)
  task.dead = true
  local children = task.proc.children
  for frame in next, children or {} do
    if frame.waiter == task then
      children[frame] = nil
      task.proc.pending = task.proc.pending - 1
      frame.reply = nil
      exit(frame, nil, new_error("call was canceled", "Canceled", false))
    end
  end
end
