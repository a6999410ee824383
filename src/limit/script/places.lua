-- Gives places back, and says that others are still taken.
--
-- KEYS: all places; each client's. ARGV: for how many microseconds a place is kept; for each client
-- the ids, 8 bytes each, that are free, and those that are taken.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local keep = tonumber(ARGV[1])
for i = 2, #KEYS do
  local free, taken = ARGV[2 * i - 2], ARGV[2 * i - 1]
  for _, key in ipairs({ KEYS[1], KEYS[i] }) do
    for at = 1, #free, 8 do
      redis.call('ZREM', key, string.sub(free, at, at + 7))
    end
    for at = 1, #taken, 8 do
      redis.call('ZADD', key, string.format('%.0f', now + keep), string.sub(taken, at, at + 7))
    end
    if #taken > 0 then
      redis.call('PEXPIRE', key, math.ceil(keep / 1000))
    end
  end
end
return 1
