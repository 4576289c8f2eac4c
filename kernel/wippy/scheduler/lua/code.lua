--- Code: what Python hands over for an entry, compiled once per worker, and the instances made of it.
--
-- A chunk is compiled as a factory that takes its environment, so a new instance is one call. An instance is one set of
-- globals: the entry and all libraries it imports, directly or not, share them and one copy of each library. Each entry
-- still sees only the names that its own `modules` and `imports` list.
local kernel = ...

local S = kernel.state
local load, rawset, setmetatable, type, next, error, unpack = load, rawset, setmetatable, type, next, error, table.unpack
local new_error = kernel.new_error

local codes = {} -- id -> compiled code of this worker, current version
kernel.codes = codes

-- Modules -------------------------------------------------------------------------------------------------------------

local modules = {} -- name -> frozen module table (or function, for globals such as print)

local function deep_freeze(value)
  if type(value) == "table" and kernel.is_plain(value) and not kernel.is_frozen(value) then
    for _, field in next, value do
      deep_freeze(field)
    end
    kernel.freeze(value)
  end
  return value
end

--- Permission actions of module functions: name -> { function name -> action }.
kernel.permissions = {}

--- Run a module's chunks; what the last returns is what user code gets, frozen.
function kernel.define_module(record)
  local value
  for i = 1, #record.sources do
    local chunk, problem = load(record.sources[i], "=[kernel] " .. record.name, "t")
    if not chunk then
      error(problem, 0)
    end
    value = chunk(kernel)
  end
  kernel.permissions[record.name] = record.permissions
  modules[record.name] = deep_freeze(value)
end

function kernel.module(name)
  return modules[name]
end

-- Compiling -----------------------------------------------------------------------------------------------------------

local function compile(source, name)
  local chunk, problem = load("local _ENV <const> = ...; return function(...) " .. source .. "\nend", "@" .. name, "t")
  if chunk then
    return chunk
  end
  -- The wrapper may be what failed or what the message speaks of: let the plain source speak for itself.
  local plain, plain_problem = load(source, "@" .. name, "t", {})
  return nil, plain_problem or (plain and problem)
end

--- Tell what is wrong with a chunk, or nil: for Python, when an entry arrives.
function kernel.check_source(source, name)
  local chunk, problem = compile(source, name)
  if not chunk then
    return problem
  end
end

local function require_for(code)
  return function(name)
    local instance = S.proc.instance
    local scopes = instance.scopes
    local value = (scopes and scopes[code] or instance.globals)[name]
    if value ~= nil then
      return value
    end
    if kernel.installed[name] then
      error("module '" .. tostring(name) .. "' not found: it is installed but " .. code.id
        .. " does not list it; add it to the entry's modules: [" .. tostring(name) .. "]", 2)
    end
    error("module '" .. tostring(name) .. "' not found", 2)
  end
end

--- Make the code record of an entry. `fields`: id, source, name (of the file, for messages), method, modules (names),
-- imports (alias -> id), kind ("function", "process" or "library"), and what the kind adds for its own use.
local function define(fields)
  local factory, problem = compile(fields.source, fields.name)
  if not factory then
    return nil, new_error(fields.id .. ": " .. problem, "Invalid", false)
  end
  local scope = {}
  for name, value in next, kernel.base do
    scope[name] = value
  end
  for _, name in next, kernel.always do
    scope[name] = modules[name]
  end
  for _, name in next, fields.modules or {} do
    scope[name] = modules[name]
  end
  fields.scope = scope
  scope.require = require_for(fields)
  fields.source = nil
  if fields.call_options then
    local defaults, err = kernel.call_options(fields.call_options)
    if not defaults then
      return nil, err
    end
    fields.defaults = defaults
  end
  fields.factory = factory
  fields.globals = { __index = scope, __metatable = false }
  return fields
end

--- The current code of an entry, asking Python for it the first time; nil, Error when there is none.
function kernel.load_code(id)
  local code = codes[id]
  if code then
    return code
  end
  local bundle, err = kernel.command("kernel.code", id)
  if not bundle then
    return nil, err
  end
  for i = 1, #bundle.modules do
    local module = bundle.modules[i]
    if not modules[module.name] then
      kernel.define_module(module)
    end
  end
  for i = 1, #bundle.entries do -- libraries first, the entry itself last
    local fields = bundle.entries[i]
    if not codes[fields.id] then
      code, err = define(fields)
      if not code then
        return nil, err
      end
      codes[fields.id] = code
    end
  end
  return codes[id]
end

--- Forget entries that changed, or that import one that did. Running instances keep the code they began with.
function kernel.forget_code(ids)
  local changed = {}
  for _, id in next, ids do
    changed[id] = true
    codes[id] = nil
    kernel.retire_pool(id)
  end
  for _, pid in kernel.in_order(kernel.procs) do
    local proc = kernel.procs[pid]
    if proc.upgradable and changed[proc.entry] then
      kernel.notify_outdated(proc, ids)
    end
  end
end

-- Instances -----------------------------------------------------------------------------------------------------------

local function entry_method(code, result)
  if type(result) == "function" then
    return result
  end
  if type(result) == "table" then
    local method = result[code.method]
    if type(method) == "function" then
      return method
    end
    error(new_error(code.id .. ': source returned a table without function "' .. tostring(code.method) .. '"', "Invalid", false), 0)
  end
  local method = S.proc.instance.globals[code.method or ""]
  if type(method) == "function" then
    return method
  end
  error(new_error(code.id .. ": source must return a function, or a table with function "
    .. '"' .. tostring(code.method) .. '"; it returned ' .. kernel.type(result), "Invalid", false), 0)
end

-- A write to a global that one entry has as a listed module: everybody of the instance must see the new value.
local function shadow(instance)
  return function(globals, name, value)
    rawset(globals, name, value)
    for code, scope in next, instance.scopes do
      if scope ~= globals and not (code.imports and code.imports[name]) then
        rawset(scope, name, nil)
      end
    end
  end
end

local load_import

local function scope_with_imports(instance, code)
  local globals = instance.globals
  local scope = setmetatable({}, { __index = globals, __newindex = globals, __metatable = false })
  instance.scopes[code] = scope
  rawset(scope, "require", code.scope.require)
  for _, name in next, code.modules or {} do
    rawset(scope, name, code.scope[name])
  end
  for alias, id in next, code.imports or {} do
    rawset(scope, alias, load_import(instance, id))
  end
  return scope
end

function load_import(instance, id)
  local library = instance.libraries[id]
  if library == nil then
    local code = codes[id]
    if not code then
      error(new_error("import " .. id .. " was removed while it was loading", "NotFound", true), 0)
    end
    instance.libraries[id] = false -- an import cycle sees this; the registry rejects cycles before
    library = code.factory(scope_with_imports(instance, code))()
    instance.libraries[id] = library
  end
  return library
end

--- Run an entry's chunk in fresh globals, as the current process; returns the instance, whose `main` is its method.
function kernel.instantiate(code)
  local globals = {}
  globals._G = globals
  local instance = { globals = globals }
  S.proc.instance = instance
  if code.imports and next(code.imports) then
    instance.scopes, instance.libraries = {}, {}
    setmetatable(globals, { __index = kernel.base_scope, __newindex = shadow(instance), __metatable = false })
    instance.main = entry_method(code, code.factory(scope_with_imports(instance, code))())
  else
    instance.main = entry_method(code, code.factory(setmetatable(globals, code.globals))())
  end
  return instance
end

--- The main task of a process.
function kernel.enter(code, args)
  return kernel.instantiate(code).main(unpack(args, 1, args.n))
end
