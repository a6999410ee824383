-- A ledger is a hash of credits by quarters of an hour: 97 slots that are used again and again, "t"
-- their sum and "at" the newest quarter. The oldest quarter leaves when all of it is a day old.
local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now = seconds * 1000 + math.floor(time[2] / 1000)
local SLOTS, SLOT, DAY = 97, 900, 90000000
local quarter = math.floor(seconds / SLOT)

-- Concatenation would round: a number of milliseconds has more digits than Lua writes.
local function text(number)
  return string.format('%.0f', number)
end

-- How long ago the instance was heard of. An instance knows when it last was, "" where that is all the same,
-- and less than that is left where an older state of Redis is back.
local function heard(key, instance, last)
  local at = tonumber(redis.call('ZSCORE', key, instance) or '')
  return at and math.max(now - at, 0), last == '' or at and at >= tonumber(last)
end

-- The same in whole seconds, 0 where it never was.
local function seconds_ago(ago)
  return ago and math.max(math.ceil(ago / 1000), 1) or 0
end

-- The time in a field, 0 where it is none, and at most so long from now whoever wrote it.
local function at_most(most, field)
  return math.min(now + most, tonumber(field or '') or 0)
end

-- When Zoho's credits are back: within a day.
local function back_at(field)
  return at_most(86400000, field)
end

local function slot(of)
  return 's' .. text(of % SLOTS)
end

-- What was spent within a day, after what is older has left, and the newest quarter of that, which is still
-- to come where the clock was put back.
local function spent(key)
  local state = redis.call('HMGET', key, 't', 'at')
  local sum, at = tonumber(state[1] or '0'), tonumber(state[2] or '0')
  if at >= quarter + SLOTS then
    -- No clock is put back by a day but one that was wrong.
    return sum, quarter
  elseif at >= quarter or sum == 0 then
    return sum, math.max(at, quarter)
  end
  for passed = math.max(at + 1, quarter - SLOTS + 1), quarter do
    local old = tonumber(redis.call('HGET', key, slot(passed)) or '0')
    if old > 0 then
      sum = sum - old
      redis.call('HSET', key, slot(passed), '0')
    end
  end
  redis.call('HSET', key, 't', text(sum), 'at', text(quarter))
  return sum, quarter
end

-- Puts credits into a quarter that is `age` quarters ago, where so much was spent until the quarter `at`.
local function charge(key, credits, age, sum, at)
  local into = slot(quarter - age)
  local before = tonumber(redis.call('HGET', key, into) or '0')
  redis.call('HSET', key, into, text(before + credits), 't', text(sum + credits), 'at', text(at))
  redis.call('PEXPIRE', key, DAY)
  return sum + credits
end

-- In how many seconds so many credits are back.
local function wait(key, credits)
  local names = {}
  for age = SLOTS - 1, 0, -1 do
    names[#names + 1] = slot(quarter - age)
  end
  local back = 0
  for i, value in ipairs(redis.call('HMGET', key, unpack(names))) do
    back = back + tonumber(value or '0')
    if back >= credits then
      return (quarter + i) * SLOT - seconds
    end
  end
  return 86400
end
