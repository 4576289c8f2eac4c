--- The pattern matcher in Lua, for subjects on which the one in C could run for too long.
--
-- It matches as lstrlib.c does, item by item, but counts its steps and can be preempted. Runs of one class and the search
-- for the next character that matters are left to C, one run at a time.
local kernel = ...

local byte, find, sub, reverse = string.byte, string.find, string.sub, string.reverse
local error, unpack = error, table.unpack

--- Steps after which a match is given up.
local BUDGET = 50000000

--- Nested attempts, as in C (MAXCCALLS).
local MOST_DEPTH = 200

local POSITION = -1

local function spend(state, steps)
  local left = state.left - steps
  state.left = left
  if left < 0 then
    error("pattern too complex", 0)
  end
end

-- The last byte of the run of the item's class that begins at `at` (at - 1 if there is none).
local function run_end(state, item, at)
  local run = item.run
  if not run then
    run = "^" .. item.class .. "*"
    item.run = run
  end
  local _, last = find(state.text, run, at)
  spend(state, (last - at) // 16 + 1)
  return last
end

-- The next place from `at` on that has a byte of the class (false: any), or nil.
local function next_place(state, class, at)
  if not class then
    return at
  end
  local place = find(state.text, class, at)
  spend(state, ((place or #state.text) - at) // 16 + 1)
  return place
end

local match

local function match_longest(state, item, at, least, depth)
  local first, following = item.rest_first, item.number + 1
  local text = state.text
  local last = run_end(state, item, at)
  local lowest = at + least
  if not item.rest_fallible then
    return match(state, following, last + 1, depth + 1)
  elseif item.decided then
    lowest = last + 1 > lowest and last + 1 or lowest
  end
  for place = last + 1, lowest, -1 do
    local code = byte(text, place)
    if first == nil or code == nil or first[code] then
      local stop = match(state, following, place, depth + 1)
      if stop then
        return stop
      end
    end
    spend(state, 1)
  end
  return nil
end

-- Where the run of a class at the end of the subject begins.
local function tail_start(state, class)
  local start = state.tails[class]
  if not start then
    local _, length = find(reverse(state.text), "^" .. class .. "*")
    start = #state.text - length + 1
    spend(state, #state.text // 16 + 1)
    state.tails[class] = start
  end
  return start
end

local function match_shortest(state, item, at, depth)
  local following = item.number + 1
  local last -- of the run, once it is needed
  if item.tail then
    local place = tail_start(state, item.tail)
    if place <= at then
      place = at
    elseif place > run_end(state, item, at) + 1 then
      return nil
    end
    return match(state, following, place, depth + 1)
  end
  local place = at
  while true do
    local stop = match(state, following, place, depth + 1)
    if stop then
      return stop
    end
    last = last or run_end(state, item, place)
    place = place + 1
    if place > last + 1 then
      return nil
    end
    place = next_place(state, item.rest_class, place)
    if not place or place > last + 1 then
      return nil
    end
    spend(state, 1)
  end
end

local function match_balance(state, item, at)
  local text, first, last = state.text, item.first, item.last
  if byte(text, at) ~= first then
    return nil
  end
  local class = item.class
  if not class then
    class = "[%" .. string.char(first) .. "%" .. string.char(last) .. "]"
    if find(class, "%%%w") then
      class = "." -- a letter or digit means something else after %
    end
    item.class = class
  end
  local depth = 1
  while true do
    local place = find(text, class, at + 1)
    if not place then
      spend(state, (#text - at) // 16 + 1)
      return nil
    end
    spend(state, (place - at) // 16 + 1)
    at = place
    local code = byte(text, at)
    if code == last then
      depth = depth - 1
      if depth == 0 then
        return at + 1
      end
    elseif code == first then
      depth = depth + 1
    end
  end
end

local function match_back(state, item, at)
  local from, size = state.from[item.index], state.size[item.index]
  if size == POSITION then
    return nil
  end
  spend(state, size // 16 + 1)
  if sub(state.text, at, at + size - 1) == sub(state.text, from, from + size - 1) then
    return at + size
  end
  return nil
end

-- Match the items from `number` on at place `at`; returns the place behind the match, or nil.
function match(state, number, at, depth)
  if depth > MOST_DEPTH then
    error("pattern too complex", 0)
  end
  local items, text = state.items, state.text
  while true do
    local item = items[number]
    local op = item.op
    spend(state, 1)
    if op == "single" then
      local quantifier = item.quantifier
      local code = byte(text, at)
      if not (code and item.set[code]) then
        if quantifier == nil or quantifier == "+" then
          return nil
        end
      elseif quantifier == nil then
        at = at + 1
      elseif quantifier == "?" then
        local stop = match(state, number + 1, at + 1, depth + 1)
        if stop then
          return stop
        end
      elseif quantifier == "-" then
        return match_shortest(state, item, at, depth)
      else
        return match_longest(state, item, at, quantifier == "+" and 1 or 0, depth)
      end
    elseif op == "done" then
      return at
    elseif op == "eos" then
      if at ~= #text + 1 then
        return nil
      end
    elseif op == "position" then
      state.from[item.index], state.size[item.index] = at, POSITION
      depth = depth + 1
    elseif op == "open" then
      state.from[item.index] = at
      depth = depth + 1
    elseif op == "close" then
      -- Nothing is undone when an attempt fails: the one that succeeds passes all captures again.
      state.size[item.index] = at - state.from[item.index]
      depth = depth + 1
    elseif op == "frontier" then
      local before, code = at > 1 and byte(text, at - 1) or 0, byte(text, at) or 0
      if item.set[before] or not item.set[code] then
        return nil
      end
    elseif op == "balance" then
      at = match_balance(state, item, at)
    elseif op == "back" then
      at = match_back(state, item, at)
    else
      error(item.message, 0)
    end
    if not at then
      return nil
    end
    if depth > MOST_DEPTH then
      error("pattern too complex", 0)
    end
    number = number + 1
  end
end

local function results(state, program, from, stop)
  local values = {}
  for index = 1, program.captures do
    local start, size = state.from[index], state.size[index]
    if size == POSITION then
      values[index] = start
    elseif size then
      values[index] = sub(state.text, start, start + size - 1)
    elseif state.lenient then
      values[index] = false
    else
      error("unfinished capture", 0)
    end
  end
  return from, stop - 1, unpack(values, 1, program.captures)
end

--- Begin to match `text`: what search_pattern wants. The step budget counts for all its searches together. A capture that
-- the pattern does not finish is an error, or false if `lenient`.
function kernel.new_match(program, text, lenient)
  return { program = program, items = program.items, text = text, from = {}, size = {}, tails = {}, left = BUDGET, lenient = lenient }
end

--- Find the first match from place `at` on: its first and last byte and its captures, or nil.
-- Raises a plain message for a pattern that is malformed, or makes too many steps.
function kernel.search_pattern(state, at)
  local program, text = state.program, state.text
  local first, class = program.items.first, program.items.class
  if program.anchored then
    local stop = match(state, 1, at, 1)
    if stop then
      return results(state, program, at, stop)
    end
    return nil
  end
  local place = next_place(state, class, at)
  while place and place <= #text + 1 do
    local code = byte(text, place)
    if first == nil or code == nil or first[code] then
      local stop = match(state, 1, place, 1)
      if stop then
        return results(state, program, place, stop)
      end
    end
    spend(state, 1)
    if program.skips_runs then
      local last = run_end(state, program.items.leading, place)
      place = last > place and last or place
    end
    place = next_place(state, class, place + 1)
  end
  return nil
end
