--- Changes: operations that are gathered, then applied as one.
local kernel = ...

local error, next = error, next
local command, copy = kernel.command, kernel.copy
local shared = kernel.plugin_registry

local methods = {}
local class
class = kernel.private_class("Changes", methods, {
  __tostring = function(self)
    return "Changes{" .. #class.state(self).operations .. "}"
  end,
})

--- An empty change.
function shared.new_changes()
  return class.new({ operations = {}, problem = nil })
end

local function check(self, name)
  local state = class.state(self)
  if not state then
    error("bad argument #1 to '" .. name .. "' (Changes expected)", 3)
  end
  return state
end

-- Chaining leaves no room for an error: the first one is kept for `apply`.
local function add(self, state, kind, entry, problem)
  if entry then
    state.operations[#state.operations + 1] = { kind = kind, entry = entry }
  else
    state.problem = state.problem or problem
  end
  return self
end

for name, kind in next, { create = "entry.create", update = "entry.update" } do
  methods[name] = function(self, entry)
    return add(self, check(self, name), kind, shared.entry_copy(entry))
  end
end

--- Delete an entry by its id: text, {ns, name}, or an entry itself.
function methods.delete(self, id)
  local state = check(self, "delete")
  if kernel.type(id) == "table" and id.id ~= nil then
    id = id.id
  end
  local text, problem = shared.id_text(id)
  return add(self, state, "entry.delete", text and { id = text }, problem)
end

--- The operations so far.
function methods.ops(self)
  return copy(check(self, "ops").operations)
end

--- Make the change: the new Version, or nil and an Error, and then nothing has changed.
function methods.apply(self)
  local state = check(self, "apply")
  local ok, err = kernel.permit("registry.apply", "")
  if not ok or state.problem then
    return nil, err or state.problem
  end
  local operations = state.operations
  if #operations == 0 then
    return nil, shared.new_invalid("there are no changes to apply")
  end
  local pairs_ = {}
  for i = 1, #operations do
    pairs_[i] = { operations[i].kind, operations[i].entry }
  end
  return shared.new_version(command("registry.apply", pairs_))
end
