--- Handles: kernel objects that user code sees as userdata, and tables that only look plain.
--
-- A handle's class is kept in its metatable under the private key CLASS. User code can reach neither the key nor a
-- metatable of ours (`__metatable` is false, and the sandbox has no `debug`), so a class test cannot be fooled.
-- Two layouts:
--   value class    one metatable for all objects, the object's own slots hold the state. For values whose slots hold
--                  nothing but what its methods tell anyway (errors, messages, payloads, times).
--   private class  the object is empty and its metatable *is* the state. For objects whose state must stay out of
--                  reach even of rawget and rawset (channels, futures, connections).
local kernel = ...

local getmetatable, setmetatable, rawget, type, error, next = debug.getmetatable, setmetatable, rawget, type, error, next

local CLASS = {}

local function no_write(_, key)
  error("attempt to set field '" .. tostring(key) .. "' of a userdata value", 2)
end

--- Make a value class. `methods` is what indexing gives; `metamethods` are added to the shared metatable.
-- Objects are made with setmetatable(slots, class).
function kernel.value_class(name, methods, metamethods)
  local class = { __index = methods, __newindex = no_write, __metatable = false, __name = name, typename = "userdata" }
  for event, handler in next, metamethods or {} do
    class[event] = handler
  end
  class[CLASS] = class
  return class
end

--- Make a private class: `new(state)` gives a handle, `state(handle)` its state or nil if it is none of this class.
function kernel.private_class(name, methods, metamethods)
  local class = { name = name, typename = "userdata" }

  function class.new(state)
    state[CLASS] = class
    state.__index, state.__newindex, state.__metatable, state.__name = methods, no_write, false, name
    if metamethods then
      for event, handler in next, metamethods do
        state[event] = handler
      end
    end
    return setmetatable({}, state)
  end

  function class.state(handle)
    local state = getmetatable(handle)
    if state ~= nil and rawget(state, CLASS) == class then
      return state
    end
    return nil
  end

  return class
end

--- Return the class of a value: the class table for a handle, nil for anything else.
local function class_of(value)
  local metatable = getmetatable(value)
  return metatable and rawget(metatable, CLASS)
end
kernel.class_of = class_of

--- The sandbox's `type`: handles are userdata.
function kernel.type(value)
  local name = type(value)
  if name ~= "table" then
    return name
  end
  local metatable = getmetatable(value)
  local class = metatable and rawget(metatable, CLASS)
  return class and class.typename or name
end

-- Frozen tables -----------------------------------------------------------------------------------------------------

local frozen = { name = "frozen", typename = "table" }

local function frozen_write(_, key)
  error("attempt to modify a frozen table (field '" .. tostring(key) .. "')", 2)
end

--- Freeze a table in place and return it: it reads as before, and writing raises.
function kernel.freeze(table_)
  local metatable = getmetatable(table_)
  if metatable and rawget(metatable, CLASS) == frozen then
    return table_
  end
  local target = {}
  for key, value in next, table_ do
    target[key] = value
  end
  for key in next, target do
    table_[key] = nil
  end
  if metatable then
    setmetatable(target, metatable)
  end
  return setmetatable(table_, {
    [CLASS] = frozen,
    target = target,
    __index = target,
    __newindex = frozen_write,
    __metatable = false,
    __call = metatable and metatable.__call,
    __len = function()
      return #target
    end,
  })
end

--- Return the table whose fields a reader sees: the target of a frozen table, else the table itself.
local function view(table_)
  local metatable = getmetatable(table_)
  if metatable and rawget(metatable, CLASS) == frozen then
    return metatable.target
  end
  return table_
end
kernel.view = view

function kernel.is_frozen(table_)
  return class_of(table_) == frozen
end

-- The empty map -----------------------------------------------------------------------------------------------------

-- JSON tells {} from []; a Lua table does not. A table decoded from an empty object carries this metatable, which
-- pairs and getmetatable do not show and the sandbox's setmetatable replaces without asking.
local empty_map = { name = "map", typename = "table" }
local EMPTY_MAP = { [CLASS] = empty_map, __metatable = false }

function kernel.empty_map()
  return setmetatable({}, EMPTY_MAP)
end

function kernel.is_empty_map(table_)
  return getmetatable(table_) == EMPTY_MAP and next(table_) == nil
end

--- Whether user code may iterate, index raw and replace the metatable of this table: not a handle.
function kernel.is_plain(table_)
  local class = class_of(table_)
  return class == nil or class.typename == "table"
end
