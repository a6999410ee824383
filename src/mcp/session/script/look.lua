-- Why each of these sessions has ended: '' while it lasts, 'lost' where nobody has said why.
-- KEYS: the sessions.
local ends = {}
for place, key in ipairs(KEYS) do
  local session = redis.call('HMGET', key, 'kept', 'ended')
  local why = session[2] and string.sub(session[2], 1, 64)
  ends[place] = why or (session[1] and '') or 'lost'
end
return ends
