--- Module logger: debug, info, warn, error, with, named, on the module and on the loggers it makes.
local kernel = ...

local getmetatable, setmetatable, next, pcall, type = debug.getmetatable, setmetatable, next, pcall, type
local getinfo, sub = debug.getinfo, string.sub
local new_error, log, view = kernel.new_error, kernel.log, kernel.view

local NAME, FIELDS = 1, 2

local methods = {}
local class = kernel.value_class("Logger", methods, {
  __tostring = function(self)
    return "logger(" .. (self[NAME] or "") .. ")"
  end,
})

-- The module table stands for this one.
local root = setmetatable({}, class)

-- `logger:info(...)` on the module, on a logger or on a table that inherits from one, and `logger.info(...)`.
local function receiver(self, ...)
  if getmetatable(self) == class then
    return self, ...
  elseif type(self) == "table" and kernel.is_plain(self) then
    return root, ...
  end
  return root, self, ...
end

-- What a field is written as: data as it is, Errors and handles as their text.
local function readable(value)
  local kind = type(value)
  if kind == "table" and not kernel.is_plain(value) then
    return kernel.payload_table(value) or kernel.safe_tostring(value)
  elseif kind == "function" or kind == "thread" then
    return kind
  end
  return value
end

local function merge(base, fields)
  if fields == nil then
    return base
  end
  local merged = {}
  for key, value in next, base or {} do
    merged[key] = value
  end
  fields = kernel.payload_table(fields) or fields
  if type(fields) ~= "table" or not kernel.is_plain(fields) then
    merged.value = readable(fields)
    return merged
  end
  for key, value in next, view(fields) do
    merged[kernel.tostring(key)] = readable(value)
  end
  return next(merged) ~= nil and merged or nil
end

-- The line of the program that logs: the first frame that is not the kernel's.
local function caller_line()
  local level = 3
  while true do
    local info = getinfo(level, "Sl")
    if not info then
      return nil
    elseif info.what ~= "C" and sub(info.source, 1, 9) ~= "=[kernel]" then
      return info.currentline
    end
    level = level + 1
  end
end

local function write(level, self, message, fields)
  local text = type(message) == "string" and message or kernel.safe_tostring(message)
  local line = caller_line()
  -- A log record must never end the program that writes it.
  local ok, problem = pcall(log, level, text, merge(self[FIELDS], fields), self[NAME], line)
  if not ok then
    log(level, text, { fields_error = kernel.safe_tostring(problem) }, self[NAME], line)
  end
end

for _, level in next, { "debug", "info", "warn", "error" } do
  methods[level] = function(...)
    write(level, receiver(...))
  end
end

local function with(self, fields)
  return setmetatable({ self[NAME], merge(self[FIELDS], fields) }, class)
end

local function named(self, name)
  if type(name) ~= "string" or name == "" then
    local what = name == "" and "an empty string" or kernel.type(name)
    return nil, new_error("logger: name must be a string that is not empty, got " .. what, "Invalid", false)
  end
  local parent = self[NAME]
  return setmetatable({ parent and parent .. "." .. name or name, self[FIELDS] }, class)
end

--- A logger whose records carry these fields too.
function methods.with(...)
  return with(receiver(...))
end

--- A logger with a name; that of a logger made from it follows after a point.
function methods.named(...)
  return named(receiver(...))
end

return methods
