--- Timers: a binary heap of deadlines inside the VM. Python hears of the earliest one only, once a slice.
local kernel = ...

local heap, size = {}, 0

-- Ties fire in the order they were set, so that a run is reproducible.
local sequence = 0

local function before(a, b)
  return a.at < b.at or (a.at == b.at and a.order < b.order)
end

local function sift_up(i)
  local timer = heap[i]
  while i > 1 do
    local parent = i >> 1
    if not before(timer, heap[parent]) then
      break
    end
    heap[i] = heap[parent]
    heap[i].index = i
    i = parent
  end
  heap[i] = timer
  timer.index = i
end

local function sift_down(i)
  local timer = heap[i]
  while true do
    local child = i << 1
    if child > size then
      break
    end
    if child < size and before(heap[child + 1], heap[child]) then
      child = child + 1
    end
    if not before(heap[child], timer) then
      break
    end
    heap[i] = heap[child]
    heap[i].index = i
    i = child
  end
  heap[i] = timer
  timer.index = i
end

--- Call fire(timer) in `delay` seconds. Returns the timer; timers of a process count as pending for it.
function kernel.set_timer(delay, fire, proc)
  sequence = sequence + 1
  local timer = { at = kernel.clock() + (delay > 0 and delay or 0), order = sequence, fire = fire, proc = proc }
  if proc then
    proc.pending = proc.pending + 1
  end
  size = size + 1
  heap[size] = timer
  sift_up(size)
  return timer
end

--- Take a timer out; returns false when it has fired or was cancelled already.
function kernel.cancel_timer(timer)
  local i = timer.index
  if not i then
    return false
  end
  timer.index = nil
  local last = heap[size]
  heap[size] = nil
  size = size - 1
  if last ~= timer then
    heap[i] = last
    last.index = i
    sift_up(i)
    sift_down(last.index)
  end
  if timer.proc then
    timer.proc.pending = timer.proc.pending - 1
  end
  return true
end

--- Fire what is due at `now`.
function kernel.fire_timers(now)
  while size > 0 and heap[1].at <= now do
    local timer = heap[1]
    kernel.cancel_timer(timer)
    if not (timer.proc and timer.proc.ended) then
      timer.fire(timer)
    end
  end
end

--- The earliest deadline, or nil.
function kernel.next_deadline()
  return size > 0 and heap[1].at or nil
end

--- Block the current task for `delay` seconds.
function kernel.sleep(delay)
  local S = kernel.state
  local task = S.task
  kernel.set_timer(delay, function()
    kernel.ready(task)
  end, S.proc)
  kernel.block()
end
