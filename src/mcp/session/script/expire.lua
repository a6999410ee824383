-- Ends a session that nobody used in time, unless it was used or ended meanwhile.
-- KEYS: the session; then all sessions.
-- ARGV: what the set calls it, and for how long it is kept why it ended (ms).
-- Returns what was kept and why it ended, to whoever has ended it and to nobody else.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZSCORE', KEYS[2], ARGV[1])
if due and tonumber(due) > now then
  return false
end
redis.call('ZREM', KEYS[2], ARGV[1])
local session = redis.call('HMGET', KEYS[1], 'kept', 'until')
if not session[1] then
  return false
end
local why = now >= tonumber(session[2]) and 'too_old' or 'expired'
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'ended', why)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {session[1], why}
