-- Ends a session that nobody used in time, unless it was used or ended meanwhile.
-- KEYS: the session; then all sessions.
-- ARGV: what the set calls it, for how long it is kept why it ended (ms), the asker's mark.
-- Returns what was kept and why it ended, to whoever has ended it, however often it asks, and to nobody else.
local session = redis.call('HMGET', KEYS[1], 'kept', 'until', 'ended', 'by', 'told')
if session[4] == ARGV[3] and session[5] then
  return {session[5], session[3]}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZSCORE', KEYS[2], ARGV[1])
if due and tonumber(due) > now then
  return false
end
redis.call('ZREM', KEYS[2], ARGV[1])
if not session[1] then
  return false
end
local why = now >= tonumber(session[2]) and 'too_old' or 'expired'
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'ended', why, 'by', ARGV[3], 'told', session[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {session[1], why}
