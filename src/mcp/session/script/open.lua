-- Keeps a new session, while there is room for one more.
-- KEYS: the session; then all sessions, those of its client, those of its person.
-- ARGV: what the sets call it, its owner, what is kept, how long it may be idle (ms), how long it may
-- last (ms), and how many each set may hold.
-- Returns 0 when it is kept, or after how long there is room, if nobody uses what takes it (ms).
if redis.call('HGET', KEYS[1], 'owner') then
  -- Only the answer was lost.
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait = 0
for set = 1, 3 do
  redis.call('ZREMRANGEBYSCORE', KEYS[set + 1], '-inf', now)
  if redis.call('ZCARD', KEYS[set + 1]) >= tonumber(ARGV[set + 5]) then
    local first = redis.call('ZRANGEBYSCORE', KEYS[set + 1], '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    wait = math.max(wait, tonumber(first[2]) - now)
  end
end
if wait > 0 then
  return wait
end
local idle = math.min(tonumber(ARGV[4]), tonumber(ARGV[5]))
for set = 2, 4 do
  redis.call('ZADD', KEYS[set], now + idle, ARGV[1])
  redis.call('PEXPIRE', KEYS[set], ARGV[5])
end
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'kept', ARGV[3], 'until', now + ARGV[5])
redis.call('PEXPIRE', KEYS[1], idle)
return 0
