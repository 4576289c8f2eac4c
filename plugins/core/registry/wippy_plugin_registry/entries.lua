--- Entries: what programs hand over as entries, ids and queries, and reading with permissions.
local kernel = ...

local type, next, pcall = type, next, pcall
local command, new_error, view = kernel.command, kernel.new_error, kernel.view

local shared = {}
kernel.plugin_registry = shared

local function new_invalid(message)
  return new_error("registry: " .. message, "Invalid", false)
end
shared.new_invalid = new_invalid

local function is_table(value)
  return kernel.type(value) == "table"
end

--- The id "ns:name" of a string or a table {ns, name}; nil and an Error for anything else.
function shared.id_text(value)
  if is_table(value) then
    value = view(value)
    if type(value.ns) == "string" and type(value.name) == "string" then
      return value.ns .. ":" .. value.name
    end
  elseif type(value) == "string" and value ~= "" then
    return value
  end
  return nil, new_invalid('an id must be text such as "app:name" or a table {ns = ..., name = ...}')
end

--- A copy of an entry with its id as text; nil and an Error for what is none.
function shared.entry_copy(entry)
  if not is_table(entry) then
    return nil, new_invalid("an entry must be a table {id, kind, meta, data}, got " .. kernel.type(entry))
  end
  entry = view(entry)
  local id, err = shared.id_text(entry.id)
  if not id then
    return nil, err
  end
  if type(entry.kind) ~= "string" or entry.kind == "" then
    return nil, new_invalid("entry " .. id .. ': kind must be text such as "function.lua"')
  end
  local copied = { id = id, kind = entry.kind }
  for _, name in next, { "meta", "data" } do
    local value = kernel.payload_table(entry[name]) or entry[name]
    if value ~= nil and not is_table(value) then
      return nil, new_invalid("entry " .. id .. ": " .. name .. " must be a table, got " .. kernel.type(value))
    end
    local ok, copy = pcall(kernel.copy, value)
    if not ok then
      return nil, new_invalid("entry " .. id .. ": " .. name .. ": " .. kernel.error_text(copy))
    end
    copied[name] = copy
  end
  return copied
end

local function checked_query(query)
  if query == nil then
    return {}
  elseif not is_table(query) then
    return nil, new_invalid("a query must be a table, got " .. kernel.type(query))
  end
  query = view(query)
  for key in next, query do
    if type(key) ~= "string" then
      return nil, new_invalid('the keys of a query are names such as ".kind" or "meta.type", got ' .. kernel.tostring(key))
    end
  end
  return query
end

local function permitted(id)
  return kernel.permit("registry.get", id)
end

-- Lists leave out what the program may not see, without a word.
local function visible(entries, err)
  if not entries then
    return nil, err
  end
  local result, n = {}, 0
  for i = 1, #entries do
    if permitted(entries[i].id) then
      n = n + 1
      result[n] = entries[i]
    end
  end
  return result
end

--- The entry of an id at a version (nil: the current one).
function shared.get(version, id)
  local text, err = shared.id_text(id)
  local ok
  if text then
    ok, err = permitted(text)
  end
  if not ok then
    return nil, err
  end
  return command("registry.get", version, text)
end

--- The entries that a query matches at a version (nil: the current one).
function shared.find(version, query)
  local checked, err = checked_query(query)
  if not checked then
    return nil, err
  end
  return visible(command("registry.find", version, checked))
end

--- The entries of a namespace at a version.
function shared.namespace(version, ns)
  if type(ns) ~= "string" then
    return nil, new_invalid("a namespace must be text, got " .. kernel.type(ns))
  end
  return visible(command("registry.namespace", version, ns))
end
