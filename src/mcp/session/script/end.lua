-- Ends a session. For a while it says why, to the instances that have something of it.
-- Returns 1 to whoever has ended it, however often it asks, and to nobody else.
-- KEYS: the session; then all sessions, those of its client, those of its person.
-- ARGV: what the sets call it, why, for how long that is kept (ms), the asker's mark.
local session = redis.call('HMGET', KEYS[1], 'owner', 'by')
if session[2] == ARGV[4] then
  -- Only the answer was lost.
  return 1
end
if not session[1] then
  return 0
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'ended', ARGV[2], 'by', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
for set = 2, 4 do
  redis.call('ZREM', KEYS[set], ARGV[1])
end
return 1
