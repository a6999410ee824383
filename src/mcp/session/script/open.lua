-- Keeps a new session, while there is room for one more.
-- KEYS: the session; then all sessions, those of its client, those of its person.
-- ARGV: what the sets call it, its owner, what is kept, how long it may be idle (ms), how long it may
-- last (ms), how many each set may hold, and how long its end may wait to be told (ms).
-- Returns 0 when it is kept, or after how long there is room, if nobody uses what takes it (ms).
if redis.call('HGET', KEYS[1], 'owner') then
  -- Only the answer was lost.
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait = 0
for set = 1, 3 do
  -- In the set of all stands also whose end is not told yet.
  local told = set == 1 and now - ARGV[9] or now
  redis.call('ZREMRANGEBYSCORE', KEYS[set + 1], '-inf', told)
  if redis.call('ZCOUNT', KEYS[set + 1], '(' .. now, '+inf') >= tonumber(ARGV[set + 5]) then
    local first = redis.call('ZRANGEBYSCORE', KEYS[set + 1], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    wait = math.max(wait, tonumber(first[2]) - now)
  end
end
if wait > 0 then
  return wait
end
local idle = math.min(tonumber(ARGV[4]), tonumber(ARGV[5]))
for set = 2, 4 do
  redis.call('ZADD', KEYS[set], now + idle, ARGV[1])
  redis.call('PEXPIRE', KEYS[set], ARGV[5] + ARGV[9])
end
redis.call('HSET', KEYS[1], 'owner', ARGV[2], 'kept', ARGV[3], 'until', now + ARGV[5])
redis.call('PEXPIRE', KEYS[1], idle + ARGV[9])
return 0
