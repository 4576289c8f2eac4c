--- Module io (manual page lua/system/io): standard input and output of processes on a terminal host.
--
-- Anywhere else what is written goes to the log (reference, decision 6), and reading is an error.
local kernel = ...

local type, select, concat, find, sub, tointeger = type, select, table.concat, string.find, string.sub, math.tointeger
local S, command, new_error, text = kernel.state, kernel.command, kernel.new_error, kernel.tostring

local DEFAULT_SIZE = 1024

-- The arguments of the process that runs, if it has the terminal; else false. Asked for once per process.
local function terminal()
  local proc = S.proc
  if not proc.home then
    return false -- a function call
  end
  local args = proc.plugin_terminal
  if args == nil then
    args = command("io.open") or false
    proc.plugin_terminal = args
  end
  return args
end

local function need_terminal(name)
  if terminal() then
    return true
  end
  return nil, new_error("io." .. name .. ": " .. S.proc.entry .. " does not run on a terminal.host", "Unavailable", false)
end

-- The values as text with a separator between.
local function joined(separator, ...)
  local parts = { ... }
  local n = select("#", ...)
  for i = 1, n do
    parts[i] = text(parts[i])
  end
  return concat(parts, separator, 1, n)
end

local function write(line, to_errors)
  if terminal() then
    return command("io.write", line, to_errors)
  end
  if find(line, "\n", -1, true) then
    line = sub(line, 1, -2)
  end
  if line ~= "" then
    kernel.log(to_errors and "warn" or "info", line, nil, "io")
  end
  return true
end

local io = {}

function io.write(...)
  return write(joined("", ...), false)
end

function io.print(...)
  return write(joined("\t", ...) .. "\n", false)
end

function io.eprint(...)
  return write(joined("\t", ...) .. "\n", true)
end

--- Up to n bytes, as soon as there are some; nil at the end of the input.
function io.read(n)
  local size = n == nil and DEFAULT_SIZE or type(n) == "number" and tointeger(n)
  if not size then
    return nil, new_error("io.read: the number of bytes must be an integer, got " .. kernel.type(n), "Invalid", false)
  end
  local ok, err = need_terminal("read")
  if not ok then
    return nil, err
  end
  return command("io.read", size > 0 and size or DEFAULT_SIZE)
end

--- A line without its end; nil at the end of the input.
function io.readline()
  local ok, err = need_terminal("readline")
  if not ok then
    return nil, err
  end
  return command("io.readline")
end

--- Raw mode on (true or nothing) or off.
function io.raw(enable)
  local ok, err = need_terminal("raw")
  if not ok then
    return nil, err
  end
  return command("io.raw", enable == nil or enable == true)
end

function io.flush()
  if terminal() then
    return command("io.flush")
  end
  return true -- the log keeps nothing back
end

--- The arguments of the command line.
function io.args()
  return kernel.copy(terminal() or {})
end

return io
