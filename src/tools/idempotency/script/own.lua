-- Gives a record to the key that wrote it, unless it is another's; whether it is this key's now.
--
-- KEYS: the record. ARGV: the key; for how long, in milliseconds.
local owner = redis.call('GET', KEYS[1])
if owner then return owner == ARGV[1] and 1 or 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
