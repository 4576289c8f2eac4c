--- Module registry (manual page lua/core/registry): entries, snapshots, versions, changes.
local kernel = ...

local type, error, find, sub = type, error, string.find, string.sub
local command = kernel.command
local shared = kernel.plugin_registry
local new_version, version_id, new_invalid = shared.new_version, shared.version_id, shared.new_invalid

-- Snapshots -----------------------------------------------------------------------------------------------------------

local snapshot_methods = {}
local snapshots
snapshots = kernel.private_class("Snapshot", snapshot_methods, {
  __tostring = function(self)
    return "Snapshot{" .. snapshots.state(self).version .. "}"
  end,
})

-- The number of the version that a snapshot shows.
local function shown(self, name)
  local state = snapshots.state(self)
  if not state then
    error("bad argument #1 to '" .. name .. "' (Snapshot expected)", 3)
  end
  return state.version
end

local function new_snapshot(record, err)
  if not record then
    return nil, err
  end
  return snapshots.new({ version = record[1] })
end

function snapshot_methods.entries(self)
  return shared.find(shown(self, "entries"), {})
end

function snapshot_methods.get(self, id)
  return shared.get(shown(self, "get"), id)
end

function snapshot_methods.find(self, query)
  return shared.find(shown(self, "find"), query)
end

function snapshot_methods.namespace(self, ns)
  return shared.namespace(shown(self, "namespace"), ns)
end

function snapshot_methods.version(self)
  return new_version(command("registry.version", shown(self, "version")))
end

function snapshot_methods.changes(self)
  shown(self, "changes")
  return shared.new_changes()
end

local function snapshot_at(version)
  local id, err = version_id(version)
  if not id then
    return nil, err
  end
  return new_snapshot(command("registry.version", id))
end

-- History -------------------------------------------------------------------------------------------------------------

local history_methods = {}
local histories = kernel.private_class("History", history_methods, {
  __tostring = function()
    return "History{}"
  end,
})

local function check_history(self, name)
  if not histories.state(self) then
    error("bad argument #1 to '" .. name .. "' (History expected)", 3)
  end
end

function history_methods.versions(self)
  check_history(self, "versions")
  return shared.versions()
end

function history_methods.get_version(self, version)
  check_history(self, "get_version")
  local id, err = version_id(version)
  if not id then
    return nil, err
  end
  return new_version(command("registry.version", id))
end

function history_methods.snapshot_at(self, version)
  check_history(self, "snapshot_at")
  return snapshot_at(version)
end

-- Deltas --------------------------------------------------------------------------------------------------------------

local function entry_list(value, which)
  if kernel.type(value) ~= "table" then
    return nil, new_invalid("build_delta: " .. which .. " must be a list of entries, got " .. kernel.type(value))
  end
  local list = {}
  for i = 1, #value do
    local entry, err = shared.entry_copy(value[i])
    if not entry then
      return nil, err
    end
    list[i] = entry
  end
  return list
end

-- The module ------------------------------------------------------------------------------------------------------------

local registry = { snapshot_at = snapshot_at, versions = shared.versions }

function registry.get(id)
  return shared.get(nil, id)
end

function registry.find(query)
  return shared.find(nil, query)
end

--- {ns, name} of an id; without a colon the namespace is empty.
function registry.parse_id(id)
  if type(id) ~= "string" then
    error("bad argument #1 to 'parse_id' (string expected, got " .. kernel.type(id) .. ")", 2)
  end
  local colon = find(id, ":", 1, true)
  if not colon then
    return { ns = "", name = id }
  end
  return { ns = sub(id, 1, colon - 1), name = sub(id, colon + 1) }
end

function registry.snapshot()
  return new_snapshot(command("registry.version"))
end

function registry.current_version()
  return new_version(command("registry.version"))
end

function registry.history()
  return histories.new({})
end

--- Go to another version, back or forth.
function registry.apply_version(version)
  local id, err = version_id(version)
  local ok
  if id then
    ok, err = kernel.permit("registry.apply_version", "")
  end
  if not ok then
    return nil, err
  end
  return command("registry.apply_version", id)
end

--- The operations that turn the entries `before` into the entries `after`, in the order in which they can be made.
function registry.build_delta(before, after)
  local from, err = entry_list(before, "the first list")
  local to
  if from then
    to, err = entry_list(after, "the second list")
  end
  if not to then
    return nil, err
  end
  return command("registry.delta", from, to)
end

return registry
