--- Module sql (manual page lua/storage/sql).
local kernel = ...

local plugin = kernel.plugin_sql
local invalid = plugin.invalid

local sql = {
  NULL = plugin.NULL,
  as = plugin.as,
  type = { POSTGRES = "postgres", MYSQL = "mysql", SQLITE = "sqlite", UNKNOWN = "unknown" },
  isolation = {
    DEFAULT = "default",
    READ_UNCOMMITTED = "read_uncommitted",
    READ_COMMITTED = "read_committed",
    WRITE_COMMITTED = "write_committed",
    REPEATABLE_READ = "repeatable_read",
    SERIALIZABLE = "serializable",
  },
}

plugin.isolation_levels = {}
for _, level in next, sql.isolation do
  plugin.isolation_levels[level] = true
end

--- A handle for the database of an entry; nil, Error when there is none, it is no database, or it is not permitted.
function sql.get(id)
  if type(id) ~= "string" or id == "" then
    local what = id == "" and "an empty string" or kernel.type(id)
    return nil, invalid("sql.get: expected the id of a database entry, got " .. what)
  end
  local permitted, err = kernel.permit("db.get", id)
  if not permitted then
    return nil, err
  end
  local dialect
  dialect, err = kernel.command("sql.get", id)
  if not dialect then
    return nil, err
  end
  return plugin.new_database(id, dialect)
end

return sql
