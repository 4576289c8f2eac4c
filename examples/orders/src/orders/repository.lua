--- Orders and stock in the database. The tables are made the first time an instance needs them.
local sql = require("sql")

local SCHEMA = {
  [[CREATE TABLE IF NOT EXISTS orders (
      id TEXT PRIMARY KEY, sku TEXT NOT NULL, quantity INTEGER NOT NULL, status TEXT NOT NULL)]],
  [[CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, level INTEGER NOT NULL)]],
  [[INSERT OR IGNORE INTO stock (sku, level) VALUES ('tea', 100), ('cups', 10)]],
}

local ready = false

local function open()
  local db, err = sql.get("app:main_db")
  if err then
    return nil, err
  end
  if not ready then
    for _, statement in ipairs(SCHEMA) do
      local _, problem = db:execute(statement)
      if problem then
        db:release()
        return nil, problem
      end
    end
    ready = true
  end
  return db
end

local repository = {}

function repository.insert(order)
  local db, err = open()
  if err then
    return nil, err
  end
  local _, problem = db:execute(
    "INSERT INTO orders (id, sku, quantity, status) VALUES ($1, $2, $3, 'placed')",
    { order.id, order.sku, order.quantity }
  )
  db:release()
  return problem == nil, problem
end

function repository.find(id)
  local db, err = open()
  if err then
    return nil, err
  end
  local rows, problem = db:query("SELECT * FROM orders WHERE id = $1", { id })
  db:release()
  if problem then
    return nil, problem
  elseif #rows == 0 then
    return nil, errors.new(errors.NOT_FOUND, "order " .. id .. " not found")
  end
  return rows[1]
end

function repository.latest(limit)
  local db, err = open()
  if err then
    return nil, err
  end
  local rows, problem = db:query("SELECT * FROM orders ORDER BY rowid DESC LIMIT ?", { limit })
  db:release()
  return rows, problem
end

function repository.level(sku)
  local db, err = open()
  if err then
    return nil, err
  end
  local rows, problem = db:query("SELECT level FROM stock WHERE sku = $1", { sku })
  db:release()
  if problem then
    return nil, problem
  elseif #rows == 0 then
    return nil, errors.new(errors.NOT_FOUND, "nothing known of " .. sku)
  end
  return rows[1].level
end

--- Take an order's goods out of stock and mark it: both, or neither. Returns the new status.
function repository.fulfil(order)
  local db, err = open()
  if err then
    return nil, err
  end
  local tx
  tx, err = db:begin()
  if err then
    db:release()
    return nil, err
  end
  local taken
  taken, err = tx:execute(
    "UPDATE stock SET level = level - $1 WHERE sku = $2 AND level >= $1",
    { order.quantity, order.sku }
  )
  local status = taken and taken.rows_affected == 1 and "fulfilled" or "rejected"
  if not err then
    _, err = tx:execute("UPDATE orders SET status = $1 WHERE id = $2 AND status = 'placed'", { status, order.id })
  end
  if err then
    tx:rollback()
  else
    _, err = tx:commit()
  end
  db:release()
  if err then
    return nil, err
  end
  return status
end

return repository
