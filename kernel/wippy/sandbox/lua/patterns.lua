--- find, match, gmatch and gsub as in Lua 5.4, with bounds: no call can keep the VM busy in C for long.
--
-- What can be shown to be quick goes to the C functions at once; those cannot raise then, so their messages never name
-- this file. Everything else takes the careful way. Errors count as their message.
local kernel = ...

local c_find, c_match, c_gmatch, c_gsub = string.find, string.match, string.gmatch, string.gsub
local sub, byte, concat = string.sub, string.byte, table.concat
local type, error, pcall, select, math_type = type, error, pcall, select, math.type
local getinfo, getmetatable = debug.getinfo, debug.getmetatable
local error_text, read_pattern = kernel.error_text, kernel.read_pattern
local new_match, search_pattern = kernel.new_match, kernel.search_pattern

--- Length of the longest string that one call may make, as for string.rep.
local LONGEST = 64 * 1024 * 1024

--- Product of the lengths of subject and text for a plain search in C.
local PLAIN_WORK = 1000000000

local CACHED, LONGEST_CACHED = 1000, 200

-- Pattern -> longest subject for the C function, and number of captures (at least one, the match), for sound patterns;
-- and all programs that were read.
local limits, captures, programs, program_count = {}, {}, {}, 0
local iteration_limits, iteration_programs, iteration_count = {}, {}, 0

local function program_of(pattern)
  local program = programs[pattern]
  if program then
    return program
  end
  local problem
  program, problem = read_pattern(pattern, false)
  if not program then
    return nil, problem
  end
  if program_count >= CACHED then
    limits, captures, programs, program_count = {}, {}, {}, 0
  end
  programs[pattern], program_count = program, program_count + 1
  if program.sound then
    limits[pattern], captures[pattern] = program.limit, program.captures > 0 and program.captures or 1
  end
  return program
end

local function iteration_program_of(pattern)
  if byte(pattern, 1) ~= 94 then
    return program_of(pattern)
  end
  local program = iteration_programs[pattern]
  if not program then
    local problem
    program, problem = read_pattern(pattern, true)
    if not program then
      return nil, problem
    end
    if iteration_count >= CACHED then
      iteration_limits, iteration_programs, iteration_count = {}, {}, 0
    end
    iteration_programs[pattern], iteration_count = program, iteration_count + 1
    iteration_limits[pattern] = program.sound and program.limit or nil
  end
  return program
end

-- Errors as if the C function had been called by the caller of ours -----------------------------------------------------

-- Called from the function that our function calls, so that the program is two levels up from there.
local function raise(name, problem)
  if type(problem) == "string" then
    problem = c_gsub(problem, "^bad argument #(%d+) to '[^']*'", function(position)
      if getinfo(5, "n").namewhat == "method" then
        position = position - 1
        if position == 0 then
          return "calling '" .. name .. "' on bad self"
        end
      end
      return "bad argument #" .. position .. " to '" .. name .. "'"
    end, 1)
  end
  error(problem, 4)
end

local function settle(name, ok, ...)
  if ok then
    return ...
  end
  raise(name, (...))
end

-- Keeps the frame of a function that would vanish in a tail call: error messages count frames.
local function pass(...)
  return ...
end

-- Arguments as C takes them: numbers are strings, numeric strings are numbers. Whatever is wrong is left for C to say.
local function as_text(value)
  value = error_text(value)
  return math_type(value) and value .. "" or value
end

local function is_position(value)
  return value == nil or math.tointeger(tonumber(value)) ~= nil
end

local function start_of(init, size)
  init = init and math.tointeger(tonumber(init)) or 1
  if init > 0 then
    return init
  elseif init == 0 or init < -size then
    return 1
  end
  return size + init + 1
end

-- find and match --------------------------------------------------------------------------------------------------------

-- A plain search of what is long in a subject that is long, in pieces that each take a moment.
local function plain_find(text, wanted, at)
  local size, length = #text, #wanted
  local piece = PLAIN_WORK // length // 10 + 1
  while at + length - 1 <= size do
    local first = c_find(sub(text, at, at + piece + length - 2), wanted, 1, true)
    if first then
      return at + first - 1, at + first + length - 2
    end
    at = at + piece
  end
  return nil
end

local function without_positions(state, first, _, ...)
  if first == nil then
    return nil
  elseif state.program.captures == 0 then
    return sub(state.text, first, _)
  end
  return ...
end

local function bounded_search(name, state, at)
  if at > #state.text + 1 then
    return nil
  elseif name == "match" then
    return without_positions(state, search_pattern(state, at))
  end
  return search_pattern(state, at)
end

local function careful(name, fn, text, pattern, init, plain)
  text, pattern = as_text(text), as_text(pattern)
  if type(text) ~= "string" or type(pattern) ~= "string" or not is_position(init) then
    return settle(name, pcall(fn, text, pattern, init, plain))
  end
  if name == "find" and (plain or not c_find(pattern, "[%^%$%*%+%?%.%(%[%%%-]")) then
    if #pattern <= LONGEST_CACHED then
      program_of(pattern) -- the next time is quick
    end
    if #text * #pattern <= PLAIN_WORK then
      return c_find(text, pattern, init, true)
    end
    return plain_find(text, pattern, start_of(init, #text))
  end
  local program, problem = program_of(pattern)
  if not program then
    raise(name, problem)
  elseif #text <= program.limit then
    return settle(name, pcall(fn, text, pattern, init))
  end
  return settle(name, pcall(bounded_search, name, new_match(program, text), start_of(init, #text)))
end

local function find(text, pattern, init, plain)
  local limit = limits[pattern]
  if limit and type(text) == "string" and #text <= limit and (init == nil or math_type(init) == "integer") then
    return c_find(text, pattern, init, plain)
  end
  return pass(careful("find", c_find, text, pattern, init, plain))
end

local function match(text, pattern, init)
  local limit = limits[pattern]
  if limit and type(text) == "string" and #text <= limit and (init == nil or math_type(init) == "integer") then
    return c_match(text, pattern, init)
  end
  return pass(careful("match", c_match, text, pattern, init))
end

-- gmatch ----------------------------------------------------------------------------------------------------------------

-- One step of an iteration: the results of a search, unless it is the empty match right behind the last one.
local function advance(walk, first, last, ...)
  if first == nil then
    walk.at = nil
    return nil
  end
  if last + 1 == walk.last then
    walk.at = first + 1
    return walk.step()
  end
  walk.at, walk.last = last + 1, last + 1
  if walk.state.program.captures == 0 then
    return sub(walk.state.text, first, last)
  end
  return ...
end

local function walk_matches(program, text, at)
  local walk = { state = new_match(program, text), at = at }
  function walk.step()
    if walk.at == nil or walk.at > #text + 1 then
      return nil
    end
    return advance(walk, search_pattern(walk.state, walk.at))
  end
  return function()
    return pass(settle("for iterator", pcall(walk.step)))
  end
end

local function careful_gmatch(text, pattern, init)
  text, pattern = as_text(text), as_text(pattern)
  if type(text) ~= "string" or type(pattern) ~= "string" or not is_position(init) then
    return settle("gmatch", pcall(c_gmatch, text, pattern, init))
  end
  local limit = limits[pattern] or iteration_limits[pattern]
  if not limit or byte(pattern, 1) == 94 then
    local program, problem = iteration_program_of(pattern)
    if not program then
      raise("gmatch", problem)
    end
    limit = program.limit
  end
  if #text <= limit then
    return c_gmatch(text, pattern, init) -- what it raises, it raises in the loop of the caller
  end
  return walk_matches(iteration_program_of(pattern), text, start_of(init, #text))
end

local function gmatch(text, pattern, init)
  return pass(careful_gmatch(text, pattern, init))
end

-- gsub ------------------------------------------------------------------------------------------------------------------

-- The highest capture that a replacement string names, or nil if it is malformed.
local references, reference_count = {}, 0

local function references_of(repl)
  local highest = 0
  for code in c_gmatch(repl, "%%(.?)") do
    local index = byte(code) and byte(code) - 48 or -1
    if index >= 0 and index <= 9 then
      highest = index > highest and index or highest
    elseif code ~= "%" then
      return nil
    end
  end
  if #repl <= LONGEST_CACHED then
    if reference_count >= CACHED then
      references, reference_count = {}, 0
    end
    references[repl], reference_count = highest, reference_count + 1
  end
  return highest
end

local function expand(template, whole, ...)
  local n, values = select("#", ...), { ... }
  return (c_gsub(template, "%%(.?)", function(code)
    if code == "0" or (code == "1" and n == 0) then
      return whole
    elseif code == "%" then
      return "%"
    end
    local index = byte(code) and byte(code) - 48 or -1
    if index < 1 or index > 9 then
      error("invalid use of '%' in replacement string", 0)
    elseif index > n then
      error("invalid capture index %" .. code, 0)
    end
    return values[index] or error("unfinished capture", 0)
  end))
end

-- What a search found: its place, whether it counts (it is not the empty match right behind the last one), and what
-- replaces it.
local function apply(kind, repl, text, behind, first, last, capture, ...)
  if first == nil or last + 1 == behind then
    return first, last
  elseif kind == "string" then
    local whole = sub(text, first, last)
    if capture == nil then
      return first, last, true, expand(repl, whole)
    end
    return first, last, true, expand(repl, whole, capture, ...)
  elseif capture == nil then
    capture = sub(text, first, last)
  end
  if kind == "function" then
    return first, last, true, (repl(capture, ...))
  end
  return first, last, true, repl[capture]
end

-- gsub step by step: the callback may be preempted, and may wait. `state` is a match, or nil to search in C.
-- Returns the text and the number of matches, or nil and what is wrong.
local function substitute(kind, repl, text, pattern, most, anchored, state)
  local parts, n, made = {}, 0, 0
  local at, behind, count, size = 1, nil, 0, #text
  while count < most and at <= size + 1 do
    local first, last, counts, value
    if state then
      first, last, counts, value = apply(kind, repl, text, behind, search_pattern(state, at))
    else
      first, last, counts, value = apply(kind, repl, text, behind, c_find(text, pattern, at))
    end
    if first == nil then
      break
    elseif counts then
      count = count + 1
      if not value then
        value = sub(text, first, last)
      elseif type(value) ~= "string" then
        if type(value) ~= "number" then
          return nil, "invalid replacement value (a " .. kernel.type(value) .. ")"
        end
        value = value .. ""
      end
      parts[n + 1], parts[n + 2] = sub(text, at, first - 1), value
      n, made = n + 2, made + #value
      at, behind = last + 1, last + 1
      if made > LONGEST then
        return nil, "resulting string too large"
      end
    else
      n = n + 1
      parts[n] = sub(text, at, first)
      at = first + 1
    end
    if anchored then
      break
    end
  end
  if count == 0 then
    return text, 0
  end
  parts[n + 1] = sub(text, at)
  return concat(parts), count
end

local function settle_substitution(ok, result, count)
  if ok and result then
    return result, count
  end
  raise("gsub", ok and count or result)
end

local function careful_gsub(text, pattern, repl, most)
  text, pattern, repl = as_text(text), as_text(pattern), as_text(repl)
  local kind = type(repl)
  if
    type(text) ~= "string" or type(pattern) ~= "string" or not is_position(most)
    or (kind ~= "string" and kind ~= "function" and kind ~= "table")
  then
    return settle("gsub", pcall(c_gsub, text, pattern, repl, most))
  end
  local program, problem = program_of(pattern)
  if not program then
    raise("gsub", problem)
  end
  local simple
  if kind == "string" then
    simple = #repl * (#text + 1) <= LONGEST
    references_of(repl)
  else
    simple = kind == "table" and getmetatable(repl) == nil
  end
  if simple and #text <= program.limit then
    return settle("gsub", pcall(c_gsub, text, pattern, repl, most))
  end
  most = most and math.tointeger(tonumber(most)) or #text + 1
  local state
  if not program.sound or #text > program.limit then
    state = new_match(program, text, kind == "string") -- a string uses only the captures that it names
  end
  return settle_substitution(pcall(substitute, kind, repl, text, pattern, most, program.anchored, state))
end

local function gsub(text, pattern, repl, most)
  local limit = limits[pattern]
  if limit and most == nil and type(text) == "string" and #text <= limit then
    local kind = type(repl)
    if kind == "string" then
      local highest = references[repl]
      if highest and highest <= captures[pattern] and #repl * (#text + 1) <= LONGEST then
        return c_gsub(text, pattern, repl)
      end
    elseif kind == "function" then
      local result, count = substitute(kind, repl, text, pattern, #text + 1, byte(pattern, 1) == 94)
      if not result then
        error(count, 2)
      end
      return result, count
    end
  end
  return pass(careful_gsub(text, pattern, repl, most))
end

kernel.patterns = { find = find, match = match, gmatch = gmatch, gsub = gsub }
