--- Versions: value objects with slots id and previous (0: none).
local kernel = ...

local getmetatable, setmetatable, error, type = debug.getmetatable, setmetatable, error, type
local tointeger = math.tointeger
local command = kernel.command
local shared = kernel.plugin_registry

local ID, PREVIOUS = 1, 2

local methods = {}
local class = kernel.value_class("Version", methods, {
  __tostring = function(self)
    return "Version{" .. self[ID] .. "}"
  end,
  __eq = function(a, b)
    return getmetatable(a) == getmetatable(b) and a[ID] == b[ID]
  end,
})

--- A Version of what a command returned, {id, previous}; passes nil and an Error on.
function shared.new_version(record, err)
  if not record then
    return nil, err
  end
  return setmetatable({ record[1], record[2] }, class)
end

--- All Versions, oldest first.
function shared.versions()
  local records, err = command("registry.versions")
  if not records then
    return nil, err
  end
  for i = 1, #records do
    records[i] = shared.new_version(records[i])
  end
  return records
end

--- The number of a Version, or a number itself; nil and an Error for anything else.
function shared.version_id(value)
  if getmetatable(value) == class then
    return value[ID]
  end
  local id = type(value) == "number" and tointeger(value)
  if not id then
    return nil, shared.new_invalid("a version is a Version or its number, got " .. kernel.type(value))
  end
  return id
end

local function check(self, name)
  if getmetatable(self) ~= class then
    error("bad argument #1 to '" .. name .. "' (Version expected)", 3)
  end
  return self
end

function methods.id(self)
  return check(self, "id")[ID]
end

function methods.string(self)
  return "v" .. check(self, "string")[ID]
end

--- The version that this one was made from, or nil.
function methods.previous(self)
  local previous = check(self, "previous")[PREVIOUS]
  if previous == 0 then
    return nil
  end
  return shared.new_version(command("registry.version", previous))
end

--- The latest version that was made from this one, or nil.
function methods.next(self)
  return shared.new_version(command("registry.following", check(self, "next")[ID]))
end
