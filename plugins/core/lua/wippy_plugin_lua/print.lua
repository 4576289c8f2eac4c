--- The global `print` (manual page lua/core/base): a log record of level info instead of a line on standard output.
local kernel = ...

local concat, select, log, text = table.concat, select, kernel.log, kernel.tostring

return function(...)
  local parts = { ... }
  local n = select("#", ...)
  for i = 1, n do
    parts[i] = text(parts[i])
  end
  log("info", concat(parts, "\t", 1, n), nil, "print")
end
