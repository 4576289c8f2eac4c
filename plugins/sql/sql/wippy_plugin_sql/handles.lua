--- Handles: databases, transactions and statements, and what happens to them when their process ends.
local kernel = ...

local plugin = kernel.plugin_sql
local S, command = kernel.state, kernel.command
local type, find, format, error = type, string.find, string.format, error
local bind, to_rows, invalid = plugin.bind, plugin.rows, plugin.invalid

-- Holding: a process that has transactions or statements tells Python when it ends ----------------------------------

local HELD = "sql" -- key in proc.cleanup, and field of the process record that counts

local function abandon(pid)
  command("sql.abandon", pid)
end

local function hold()
  local proc = S.proc
  local count = (proc[HELD] or 0) + 1
  proc[HELD] = count
  if count == 1 then
    local pid = kernel.pid_of(proc)
    proc.cleanup = proc.cleanup or {}
    proc.cleanup[HELD] = function()
      kernel.spawn_task(kernel.system, abandon, { n = 1, pid })
    end
  end
  return proc
end

local function let_go(proc)
  local count = proc[HELD] - 1
  proc[HELD] = count
  if count == 0 and proc.cleanup then
    proc.cleanup[HELD] = nil
  end
end

-- Shared by all three ---------------------------------------------------------------------------------------------------

local function state_of(class, self, name)
  local state = class.state(self)
  if not state then
    error(format("bad argument #1 to '%s' (%s expected)", name, class.name), 3)
  end
  return state
end

local function check_sql(sql)
  if type(sql) ~= "string" or not find(sql, "%S") then
    local what = type(sql) == "string" and "an empty string" or kernel.type(sql)
    return invalid("SQL must be a string that is not empty, got " .. what)
  end
end

local function query(target, sql, ...)
  local problem = check_sql(sql)
  if problem then
    return nil, problem
  end
  local params, binary, err = bind(...)
  if not params then
    return nil, err
  end
  local answer
  answer, err = command("sql.query", target, sql, params, binary)
  if err then
    return nil, err
  end
  return to_rows(answer)
end

local function execute(target, sql, ...)
  local problem = check_sql(sql)
  if problem then
    return nil, problem
  end
  local params, binary, err = bind(...)
  if not params then
    return nil, err
  end
  return command("sql.execute", target, sql, params, binary)
end

-- Statements ------------------------------------------------------------------------------------------------------------

local statement_methods = {}
local statements = kernel.private_class("sql.Statement", statement_methods, {
  __tostring = function()
    return "sql.Statement{}"
  end,
})

local function prepare(target, sql)
  local problem = check_sql(sql)
  if problem then
    return nil, problem
  end
  local proc = hold()
  local number, err = command("sql.prepare", target, sql)
  if not number then
    let_go(proc)
    return nil, err
  end
  return statements.new({ number = number, proc = proc })
end

local function closed()
  return nil, invalid("statement is closed")
end

function statement_methods:query(...)
  local state = state_of(statements, self, "query")
  if state.closed then
    return closed()
  end
  local params, binary, err = bind(...)
  if not params then
    return nil, err
  end
  local answer
  answer, err = command("sql.statement_query", state.number, params, binary)
  if err then
    return nil, err
  end
  return to_rows(answer)
end

function statement_methods:execute(...)
  local state = state_of(statements, self, "execute")
  if state.closed then
    return closed()
  end
  local params, binary, err = bind(...)
  if not params then
    return nil, err
  end
  return command("sql.statement_execute", state.number, params, binary)
end

--- Close it; a second time does nothing.
function statement_methods:close()
  local state = state_of(statements, self, "close")
  if state.closed then
    return true
  end
  state.closed = true
  local ok, err = command("sql.close", state.number)
  let_go(state.proc)
  return ok, err
end

-- Transactions ------------------------------------------------------------------------------------------------------------

local transaction_methods = {}
local transactions = kernel.private_class("sql.Transaction", transaction_methods, {
  __tostring = function()
    return "sql.Transaction{}"
  end,
})

local function active(self, name)
  local state = transactions.state(self)
  if not state then
    error(format("bad argument #1 to '%s' (sql.Transaction expected)", name), 3)
  end
  if state.ended then
    return nil, invalid("transaction is not active: it was committed or rolled back")
  end
  return state
end

function transaction_methods:db_type()
  return state_of(transactions, self, "db_type").dialect
end

function transaction_methods:query(sql, ...)
  local state, err = active(self, "query")
  if not state then
    return nil, err
  end
  return query(state.number, sql, ...)
end

function transaction_methods:execute(sql, ...)
  local state, err = active(self, "execute")
  if not state then
    return nil, err
  end
  return execute(state.number, sql, ...)
end

function transaction_methods:prepare(sql)
  local state, err = active(self, "prepare")
  if not state then
    return nil, err
  end
  return prepare(state.number, sql)
end

for _, operation in next, { "savepoint", "rollback_to", "release" } do
  transaction_methods[operation] = function(self, name)
    local state, err = active(self, operation)
    if not state then
      return nil, err
    end
    if type(name) ~= "string" or not find(name, "^[%w_]+$") then
      local what = type(name) == "string" and format("%q", name) or kernel.type(name)
      return nil, invalid("savepoint name must consist of letters, digits and underscores, got " .. what)
    end
    return command("sql.savepoint", state.number, operation, name)
  end
end

function transaction_methods:commit()
  local state, err = active(self, "commit")
  if not state then
    return nil, err
  end
  local ok
  ok, err = command("sql.end", state.number, "commit")
  if ok then
    state.ended = true
    let_go(state.proc)
  end
  return ok, err
end

function transaction_methods:rollback()
  local state, err = active(self, "rollback")
  if not state then
    return nil, err
  end
  state.ended = true
  local ok
  ok, err = command("sql.end", state.number, "rollback")
  let_go(state.proc)
  return ok, err
end

-- Databases -----------------------------------------------------------------------------------------------------------------

local database_methods = {}
local databases = kernel.private_class("sql.DB", database_methods, {
  __tostring = function()
    return "sql.DB{}"
  end,
})

local function open(self, name)
  local state = databases.state(self)
  if not state then
    error(format("bad argument #1 to '%s' (sql.DB expected)", name), 3)
  end
  if state.released then
    return nil, invalid(format("database %s was released by this handle: call sql.get again", state.id))
  end
  return state
end

function database_methods:type()
  local state, err = open(self, "type")
  if not state then
    return nil, err
  end
  return state.dialect
end

function database_methods:query(sql, ...)
  local state, err = open(self, "query")
  if not state then
    return nil, err
  end
  return query(state.id, sql, ...)
end

function database_methods:execute(sql, ...)
  local state, err = open(self, "execute")
  if not state then
    return nil, err
  end
  return execute(state.id, sql, ...)
end

function database_methods:prepare(sql)
  local state, err = open(self, "prepare")
  if not state then
    return nil, err
  end
  return prepare(state.id, sql)
end

local function begin_options(options)
  options = options == nil and {} or options
  if type(options) ~= "table" or not kernel.is_plain(options) then
    return nil, nil, invalid("begin: options must be a table, got " .. kernel.type(options))
  end
  local isolation = options.isolation == nil and "default" or options.isolation
  if not plugin.isolation_levels[isolation] then
    return nil, nil, invalid(format("begin: isolation must be one of sql.isolation, got %s", kernel.safe_tostring(isolation)))
  end
  local read_only = options.read_only
  if read_only ~= nil and type(read_only) ~= "boolean" then
    return nil, nil, invalid("begin: read_only must be a boolean, got " .. kernel.type(read_only))
  end
  return isolation, read_only or false
end

function database_methods:begin(options)
  local state, err = open(self, "begin")
  if not state then
    return nil, err
  end
  local isolation, read_only, problem = begin_options(options)
  if not isolation then
    return nil, problem
  end
  local proc = hold()
  local number
  number, err = command("sql.begin", state.id, isolation, read_only)
  if not number then
    let_go(proc)
    return nil, err
  end
  return transactions.new({ number = number, dialect = state.dialect, proc = proc })
end

function database_methods:stats()
  local state, err = open(self, "stats")
  if not state then
    return nil, err
  end
  return command("sql.stats", state.id)
end

--- Give the handle back; a second time does nothing.
function database_methods:release()
  state_of(databases, self, "release").released = true
  return true
end

--- A handle for the database of an entry that exists.
function plugin.new_database(id, dialect)
  return databases.new({ id = id, dialect = dialect })
end
