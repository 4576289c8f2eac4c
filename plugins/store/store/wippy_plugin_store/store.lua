--- Module store (manual page lua/storage/store): key-value stores by registry id.
local kernel = ...

local type, pcall, error = type, pcall, error
local tointeger, utf8_len = math.tointeger, utf8.len
local new_error, pack, unpack = kernel.new_error, kernel.pack, kernel.unpack

-- What packs to nil cannot be stored: nil itself, functions, and handles that stay in their process.
local PACKED_NIL = pack(nil)

local function invalid(message)
  return nil, new_error(message, "Invalid", false)
end

local function text(value)
  return type(value) == "number" and kernel.tostring(value) or value
end

local methods = {}
local class
class = kernel.private_class("Store", methods, {
  __tostring = function(self)
    return class.state(self).released and "store.Store{released}" or "store.Store{}"
  end,
})

-- The store's id, or nil and an Error once it was released. `level` is the program's, for error().
local function store_of(self, name, level)
  local state = class.state(self)
  if not state then
    error("bad argument #1 to '" .. name .. "' (Store expected)", level)
  elseif state.released then
    return invalid("store." .. name .. ": " .. state.id .. " was released")
  end
  return state.id
end

-- The store's id and the key as text; or nil and an Error: released, a key that is none, not permitted.
local function target(self, name, action, key)
  local id, err = store_of(self, name, 4)
  if not id then
    return nil, err
  end
  key = text(key)
  if type(key) ~= "string" or key == "" then
    return invalid("store." .. name .. ": key must be text, got " .. (key == "" and "an empty string" or kernel.type(key)))
  elseif not utf8_len(key) then
    return invalid("store." .. name .. ": key must be valid UTF-8")
  end
  local ok
  ok, err = kernel.permit(action, id, { key = key })
  if not ok then
    return nil, err
  end
  return id, key
end

local function packed(name, value)
  local ok, data = pcall(pack, value)
  if not ok then
    return nil, data
  elseif data == PACKED_NIL then
    return invalid("store." .. name .. ": a value of type " .. kernel.type(value) .. " cannot be stored")
  end
  return data
end

-- Seconds to live; nil for no expiry; false and an Error for what is no duration.
local function time_to_live(name, ttl)
  if ttl == nil then
    return nil
  end
  local seconds, err = kernel.seconds(ttl, "s")
  if not seconds then
    return false, err
  elseif seconds < 0 then
    return false, new_error("store." .. name .. ": ttl must not be negative", "Invalid", false)
  end
  return seconds > 0 and seconds or nil
end

-- An `if_version` as text; nil where there is none; false and an Error for what can be no version.
local function wanted_version(version)
  if version == nil then
    return nil
  elseif type(version) == "number" and version > 0 and tointeger(version) then
    return kernel.tostring(version)
  elseif type(version) == "string" and version ~= "" then
    return version
  end
  return false, new_error("store.put: if_version must be the version of an entry", "Invalid", false)
end

local function write(name, id, key, value, ttl, only_if_absent, if_version)
  local seconds, data, err
  seconds, err = time_to_live(name, ttl)
  if seconds == false then
    return nil, err
  end
  data, err = packed(name, value)
  if not data then
    return nil, err
  end
  local version
  version, err = kernel.command("store.put", id, key, data, seconds, only_if_absent, if_version)
  return version, err, data
end

--- The value of a key; nil, Error(NotFound) where there is none.
function methods.get(self, key)
  local id, name = target(self, "get", "store.key.get", key)
  if not id then
    return nil, name
  end
  local found, err = kernel.command("store.get", id, name)
  if err then
    return nil, err
  end
  return unpack(found[1])
end

--- The value of a key with its version: {key, value, version}.
function methods.entry(self, key)
  local id, name = target(self, "entry", "store.key.get", key)
  if not id then
    return nil, name
  end
  local found, err = kernel.command("store.get", id, name)
  if err then
    return nil, err
  end
  return { key = name, value = unpack(found[1]), version = found[2] }
end

--- Store a value; `ttl` in seconds, 0 or nil for ever.
function methods.set(self, key, value, ttl)
  local id, name = target(self, "set", "store.key.set", key)
  if not id then
    return nil, name
  end
  local version, err = write("set", id, name, value, ttl, false)
  if not version then
    return nil, err
  end
  return true
end

--- Store a value under conditions (`ttl`, `only_if_absent`, `if_version`); returns the new entry.
function methods.put(self, key, value, options)
  local id, name = target(self, "put", "store.key.set", key)
  if not id then
    return nil, name
  end
  options = options == nil and {} or options
  if kernel.type(options) ~= "table" then
    return invalid("store.put: options must be a table, got " .. kernel.type(options))
  end
  local wanted, problem = wanted_version(options.if_version)
  if wanted == false then
    return nil, problem
  elseif wanted and options.only_if_absent then
    return invalid("store.put: only_if_absent and if_version exclude each other")
  end
  local version, err, data = write("put", id, name, value, options.ttl, options.only_if_absent and true or false, wanted)
  if not version then
    return nil, err
  end
  return { key = name, value = unpack(data), version = version }
end

--- Whether a key is there.
function methods.has(self, key)
  local id, name = target(self, "has", "store.key.has", key)
  if not id then
    return nil, name
  end
  return kernel.command("store.has", id, name)
end

--- Remove a key: true, or false where there was none.
function methods.delete(self, key)
  local id, name = target(self, "delete", "store.key.delete", key)
  if not id then
    return nil, name
  end
  return kernel.command("store.delete", id, name)
end

-- prefix, after and limit (0: as many as usual) of a listing; nil and an Error for what they cannot be.
local function listing(options)
  if options == nil then
    return "", "", 0
  elseif kernel.type(options) ~= "table" then
    return invalid("store.list: options must be a table, got " .. kernel.type(options))
  end
  local prefix, after, limit = text(options.prefix) or "", text(options.after) or "", options.limit or 0
  if type(prefix) ~= "string" or type(after) ~= "string" or not utf8_len(prefix) or not utf8_len(after) then
    return invalid("store.list: prefix and after must be text")
  elseif type(limit) ~= "number" or limit < 0 or not tointeger(limit) then
    return invalid("store.list: limit must be a whole number of items")
  end
  return prefix, after, tointeger(limit)
end

--- A page of entries in key order: {items, cursor, has_more}.
function methods.list(self, options)
  local id, problem = store_of(self, "list", 3)
  if not id then
    return nil, problem
  end
  local prefix, after, limit = listing(options)
  if not prefix then
    return nil, after
  end
  local ok, err = kernel.permit("store.key.list", id, { prefix = prefix })
  if not ok then
    return nil, err
  end
  local page
  page, err = kernel.command("store.list", id, prefix, after, limit)
  if not page then
    return nil, err
  end
  local items = page.items
  for i = 1, #items do
    local item = items[i]
    items[i] = { key = item[1], value = unpack(item[2]), version = item[3] }
  end
  return page
end

--- What the store is and can do.
function methods.info(self)
  local id, problem = store_of(self, "info", 3)
  if not id then
    return nil, problem
  end
  local ok, err = kernel.permit("store.info", id)
  if not ok then
    return nil, err
  end
  return kernel.command("store.info", id)
end

--- Let go of the store: every other method fails from now on.
function methods.release(self)
  local state = class.state(self)
  if not state then
    error("bad argument #1 to 'release' (Store expected)", 2)
  end
  state.released = true
  return true
end

--- A store by its id.
local function get(id)
  if type(id) ~= "string" or id == "" then
    return invalid("store.get: id must be that of a store entry, got " .. (id == "" and "an empty string" or kernel.type(id)))
  end
  local ok, err = kernel.permit("store.get", id)
  if not ok then
    return nil, err
  end
  ok, err = kernel.command("store.open", id)
  if not ok then
    return nil, err
  end
  return class.new({ id = id, released = false })
end

return {
  get = get,
  backend = { MEMORY = "memory", SQL = "sql", KV_RAFT = "kv.raft", KV_CRDT = "kv.crdt", UNKNOWN = "unknown" },
  consistency = { LINEARIZABLE = "linearizable", EVENTUAL = "eventual", LOCAL = "local", UNKNOWN = "unknown" },
}
