-- Puts a letter into the queue of an instance that lives, while there is room.
-- KEYS: its queue, until when the sign of life of each instance holds (ms), since when that is whole, and
-- what is known of a letter that may be taken back.
-- ARGV: the letter, how many may wait, how long the queue stays (ms), the instance, who writes to it, for
-- how long without a word one is given up (ms), and for how long a letter that may be taken back may be
-- taken (ms).
-- Returns 0 when the instance is gone, 1 when its queue is full, 2 when it has the letter, or had it, and
-- 3 when nobody can say whether it lives.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function lives(instance)
  local holds = redis.call('ZSCORE', KEYS[2], instance)
  return holds and tonumber(holds) > now
end

-- Whoever waits for an answer lives, also where Redis has lost that: such a letter has no name of a writer.
if ARGV[5] ~= '' and not lives(ARGV[4]) then
  if redis.call('ZSCORE', KEYS[2], 'left ' .. ARGV[4]) then
    return 0
  end
  -- All that live have said so for as long, in this process, to whom the writer's own life is known as well.
  local run, since = string.match(redis.call('GET', KEYS[3]) or '', '^(%x*) (%d+)$')
  if run == process and now - since >= tonumber(ARGV[6]) and lives(ARGV[5]) then
    return 0
  end
  return 3
end
if KEYS[4] and redis.call('GET', KEYS[4]) then
  return 2
end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then
  return 1
end
if KEYS[4] then
  redis.call('SET', KEYS[4], 'waits ' .. process, 'PX', ARGV[7])
end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 2
