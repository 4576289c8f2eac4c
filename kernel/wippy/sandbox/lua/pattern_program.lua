--- Patterns read once: the items of a pattern, and how much work it can make.
--
-- Lua's matcher runs in C, where nothing can interrupt it, and backtracks: `(".-"):rep(4) .. "b"` on 3,000 characters
-- takes minutes. A pattern's program tells how long a subject may be for the C matcher (`limit`); pattern_matcher.lua
-- runs the same program where that is exceeded.
local kernel = ...

local byte, char, find, sub = string.byte, string.char, string.find, string.sub
local HUGE = math.huge

--- Steps of the C matcher that one call may take: up to 7 ns each, in which nobody else runs.
local MOST_STEPS = 5000000

local LONGEST_PATTERN = 10000
local MOST_CAPTURES = 32

-- Sets: what a single-character class matches, byte -> true -----------------------------------------------------------

local sets, set_count = {}, 0

local function set_of(class)
  local set = sets[class]
  if set then
    return set
  end
  set = {}
  for code = 0, 255 do
    if find(char(code), class) then
      set[code] = true
    end
  end
  if set_count >= 500 then
    sets, set_count = {}, 0
  end
  sets[class], set_count = set, set_count + 1
  return set
end

local function disjoint(a, b)
  for code in next, a do
    if b[code] then
      return false
    end
  end
  return true
end

local function union(a, b)
  local both = {}
  for code in next, a do
    both[code] = true
  end
  for code in next, b do
    both[code] = true
  end
  return both
end

-- Reading -------------------------------------------------------------------------------------------------------------

-- The end of the class that begins at `at`, or nil and what is wrong with it (lstrlib.c, classEnd).
local function class_end(pattern, at)
  local first = byte(pattern, at)
  at = at + 1
  if first == 37 then -- %
    if at > #pattern then
      return nil, "malformed pattern (ends with '%')"
    end
    return at
  elseif first == 91 then -- [
    if byte(pattern, at) == 94 then
      at = at + 1
    end
    repeat
      if at > #pattern then
        return nil, "malformed pattern (missing ']')"
      end
      local code = byte(pattern, at)
      at = at + 1
      if code == 37 and at <= #pattern then
        at = at + 1
      end
    until byte(pattern, at) == 93
    return at
  end
  return at - 1
end

local QUANTIFIERS = { [42] = "*", [43] = "+", [45] = "-", [63] = "?" }

local function read_single(pattern, at)
  local last, problem = class_end(pattern, at)
  if not last then
    return { op = "error", message = problem }, #pattern + 1
  end
  local class = sub(pattern, at, last)
  if last == at and class ~= "." then
    class = "%" .. class -- a literal; letters and digits mean something else after %
    if find(class, "%w", 2) then
      class = sub(class, 2)
    end
  end
  local quantifier = QUANTIFIERS[byte(pattern, last + 1) or 0]
  return { op = "single", class = class, set = set_of(class), quantifier = quantifier }, last + (quantifier and 2 or 1)
end

local function read_escape(pattern, at, open, level)
  local code = byte(pattern, at + 1)
  if code == 98 then -- %b
    if at + 3 > #pattern then
      return { op = "error", message = "malformed pattern (missing arguments to '%b')" }, #pattern + 1
    end
    return { op = "balance", first = byte(pattern, at + 2), last = byte(pattern, at + 3) }, at + 4
  elseif code == 102 then -- %f
    if byte(pattern, at + 2) ~= 91 then
      return { op = "error", message = "missing '[' after '%f' in pattern" }, #pattern + 1
    end
    local last, problem = class_end(pattern, at + 2)
    if not last then
      return { op = "error", message = problem }, #pattern + 1
    end
    return { op = "frontier", set = set_of(sub(pattern, at + 2, last)) }, last + 1
  elseif code and code >= 48 and code <= 57 then -- a back-reference
    local index = code - 48
    if index == 0 or index > level or open[index] then
      return { op = "error", message = "invalid capture index %" .. index }, #pattern + 1
    end
    return { op = "back", index = index }, at + 2
  end
  return read_single(pattern, at)
end

-- A pattern's items. What is malformed becomes an item too, because it is an error only when the matcher gets there.
local function read(pattern, at)
  local items, level, open = {}, 0, {}
  while at <= #pattern do
    local code, item = byte(pattern, at), nil
    if code == 40 then -- (
      if level >= MOST_CAPTURES then
        item, at = { op = "error", message = "too many captures" }, #pattern + 1
      elseif byte(pattern, at + 1) == 41 then
        level = level + 1
        item, at = { op = "position", index = level }, at + 2
      else
        level = level + 1
        open[level] = true
        item, at = { op = "open", index = level }, at + 1
      end
    elseif code == 41 then -- )
      local index = level
      while index > 0 and not open[index] do
        index = index - 1
      end
      if index == 0 then
        item, at = { op = "error", message = "invalid pattern capture" }, #pattern + 1
      else
        open[index] = nil
        item, at = { op = "close", index = index }, at + 1
      end
    elseif code == 36 and at == #pattern then -- $
      item, at = { op = "eos" }, at + 1
    elseif code == 37 then
      item, at = read_escape(pattern, at, open, level)
    else
      item, at = read_single(pattern, at)
    end
    items[#items + 1] = item
  end
  items[#items + 1] = { op = "done" }
  return items, level, next(open) ~= nil
end

-- Work ----------------------------------------------------------------------------------------------------------------

local NOTHING, ANYTHING = {}, set_of(".")

-- The first item from `number` on that is not the begin or end of a capture.
local function beyond_captures(items, number)
  local item = items[number]
  while item.op == "open" or item.op == "close" or item.op == "position" do
    number = number + 1
    item = items[number]
  end
  return item
end

local function takes_one(item)
  return item.op == "single" and (item.quantifier == nil or item.quantifier == "+")
end

-- Fill in what the items from the last to the first know of what follows them:
--   rest_fallible  it can fail
--   rest_first     the bytes it begins with, unless the subject ends there (nil: any)
--   rest_class     the class of the byte it begins with (false: unknown)
--   decided        of a quantifier: it has no byte in common with what follows, so there is one place to go on
--   quick          of a quantifier: what follows fails at its first byte or not at all
--   tail           of a quantifier: the class whose run at the end of the subject is all that follows
local function annotate(items)
  local fallible, first, takes_end = false, nil, true
  for i = #items, 1, -1 do
    local item = items[i]
    local op, quantifier = item.op, item.quantifier
    item.number, item.rest_fallible, item.rest_first = i, fallible, first
    local following = i < #items and beyond_captures(items, i + 1)
    item.rest_class = following and takes_one(following) and following.class
    if op == "single" then
      item.decided = first ~= nil and disjoint(item.set, first)
      item.quick = following and takes_one(following) and not following.rest_fallible
      if following and following.quantifier == "*" and beyond_captures(items, following.number + 1).op == "eos" then
        item.tail = following.class
      end
      if takes_one(item) then
        fallible, first, takes_end = true, item.set, false
      else
        first = first and union(item.set, first)
        -- What takes anything can go on to the end of the subject, and if that is enough it cannot fail.
        fallible = fallible and not (takes_end and quantifier ~= "?" and item.set == ANYTHING)
      end
    elseif op == "eos" then
      fallible, first = true, NOTHING
    elseif op == "balance" then
      fallible, first, takes_end = true, { [item.first] = true }, false
    elseif op == "back" or op == "error" then
      fallible, first, takes_end = true, nil, false
    elseif op == "frontier" then
      fallible, takes_end = true, false
    end
  end
  items.first = first
  local leading = beyond_captures(items, 1)
  items.class = takes_one(leading) and leading.class
  items.leading = leading
end

-- The most steps that one attempt at one place of a subject of n bytes can take.
local function steps(items, n)
  local cost = 1.0 -- a float: the product may be huge
  for i = #items, 1, -1 do
    local item = items[i]
    local op, quantifier = item.op, item.quantifier
    if op == "balance" or op == "back" then
      cost = cost + n
    elseif quantifier == "?" then
      cost = cost + ((item.decided or not item.rest_fallible) and 1 or cost)
    elseif quantifier then
      cost = (item.decided or item.quick or not item.rest_fallible) and cost + n or (cost + 1) * n
    else
      cost = cost + 1
    end
  end
  return cost
end

-- Whether a failed attempt takes a fixed number of steps: then whatever a repetition takes is matched, and not looked at
-- again by the next attempt.
local function is_linear(items)
  for i = 1, #items do
    local item = items[i]
    if item.op == "balance" or item.op == "back" or (item.quantifier and item.quantifier ~= "?" and item.rest_fallible) then
      return false
    end
  end
  return steps(items, 1) < 1000
end

-- How deep the C matcher may nest in itself: beyond 200 it complains.
local function nesting(items)
  local depth = 1
  for i = 1, #items do
    local item = items[i]
    if item.quantifier or item.op == "open" or item.op == "close" or item.op == "position" then
      depth = depth + 1
    end
  end
  return depth
end

local function subject_limit(items, anchored)
  if nesting(items) > 200 then
    return -1 -- the C matcher could raise: ours does then
  elseif is_linear(items) then
    return HUGE
  end
  local low, high = 0, MOST_STEPS
  while low < high do
    local middle = (low + high + 1) // 2
    local work = steps(items, middle)
    if not anchored then
      work = work * (middle + 1)
    end
    if work <= MOST_STEPS then
      low = middle
    else
      high = middle - 1
    end
  end
  return low
end

local function is_sound(items)
  for i = 1, #items do
    if items[i].op == "error" then
      return false
    end
  end
  return true
end

local function has_back_reference(items)
  for i = 1, #items do
    if items[i].op == "back" then
      return true
    end
  end
  return false
end

--- Read a pattern. `literal_caret`: a leading ^ is a character (string.gmatch).
-- The program: items, captures (their number), anchored, skips_runs, limit (longest subject for the C matcher), sound (the
-- matcher cannot raise); or nil and what is wrong.
function kernel.read_pattern(pattern, literal_caret)
  local anchored = not literal_caret and byte(pattern, 1) == 94
  if #pattern > LONGEST_PATTERN then
    return nil, "pattern too complex"
  end
  local items, captures, unfinished = read(pattern, anchored and 2 or 1)
  annotate(items)
  local leading = items.leading
  return {
    items = items,
    -- A failed attempt says the same of all places in the run that it began with.
    skips_runs = leading.decided and leading.quantifier and leading.quantifier ~= "?" and not has_back_reference(items),
    captures = captures,
    anchored = anchored,
    limit = subject_limit(items, anchored),
    sound = not unfinished and is_sound(items),
  }
end
