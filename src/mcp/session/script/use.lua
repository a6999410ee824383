-- What is kept of a session. To its owner this is use, and puts off its end.
-- KEYS: the session; then all sessions, those of the asker's client, those of the asker's person.
-- ARGV: what the sets call it, who asks, how long it may be idle (ms), the instance that asks, or '',
-- and how long its end may wait to be told (ms).
-- Returns nothing for one that is not there or has ended.
local session = redis.call('HMGET', KEYS[1], 'owner', 'kept', 'until', 'ended', 'at')
if not session[2] or session[4] then
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not due or tonumber(due) <= now then
  return false
end
if session[1] == ARGV[2] then
  local left = math.min(tonumber(ARGV[3]), session[3] - now)
  if left <= 0 then
    return false
  end
  redis.call('PEXPIRE', KEYS[1], left + ARGV[5])
  local at = session[5] or ''
  if ARGV[4] ~= '' and string.sub(at, 1, #ARGV[4]) ~= ARGV[4] then
    local place = string.find(at, ARGV[4] .. ' ', 1, true)
    if place then
      at = string.sub(at, 1, place - 1) .. string.sub(at, place + #ARGV[4] + 1)
    end
    -- The last eight, of 33 characters each.
    redis.call('HSET', KEYS[1], 'at', string.sub(ARGV[4] .. ' ' .. at, 1, 264))
  end
  for set = 2, 4 do
    redis.call('ZADD', KEYS[set], 'XX', now + left, ARGV[1])
  end
end
return session[2]
