-- Why each of these sessions has ended: nothing while it lasts.
-- KEYS: the sessions.
local ends = {}
for place, key in ipairs(KEYS) do
  local session = redis.call('HMGET', key, 'kept', 'ended')
  ends[place] = session[2] or (session[1] and '') or 'expired'
end
return ends
