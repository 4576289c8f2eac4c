--- The global `channel` (manual page lua/core/channel); channels themselves are the scheduler's.
local kernel = ...

return kernel.channel_library
