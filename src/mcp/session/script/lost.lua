-- Notes that a session is lost: nobody has ended it, and Redis does not have it.
-- KEYS: the session.
-- ARGV: why it ended then, for how long that is kept (ms), the asker's mark.
-- Returns 1 to the first who finds it, however often it asks, and to nobody else.
local session = redis.call('HMGET', KEYS[1], 'kept', 'ended', 'by')
if session[3] == ARGV[3] then
  return 1
end
if session[1] or session[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'ended', ARGV[1], 'by', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
