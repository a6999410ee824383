-- Gives places back, and says that others are still taken.
--
-- KEYS: a client's places; all places. ARGV: for how many microseconds a place is kept; the ids,
-- 8 bytes each, that are free; those that are taken.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local keep, free, taken = tonumber(ARGV[1]), ARGV[2], ARGV[3]
for i = 1, 2 do
  for at = 1, #free, 8 do
    redis.call('ZREM', KEYS[i], string.sub(free, at, at + 7))
  end
  for at = 1, #taken, 8 do
    redis.call('ZADD', KEYS[i], string.format('%.0f', now + keep), string.sub(taken, at, at + 7))
  end
  if #taken > 0 then
    redis.call('PEXPIRE', KEYS[i], math.ceil(keep / 1000))
  end
end
return 1
