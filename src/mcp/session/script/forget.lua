-- Forgets instances that are gone: nobody has to be asked for calls of a session there.
-- KEYS: the session. ARGV: the instances.
local at = redis.call('HGET', KEYS[1], 'at')
if not at then
  return 0
end
for _, gone in ipairs(ARGV) do
  -- In hexadecimal digits, which are no pattern.
  at = string.gsub(at, gone .. ' ', '')
end
redis.call('HSET', KEYS[1], 'at', at)
return 1
