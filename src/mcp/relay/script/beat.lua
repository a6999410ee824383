-- Says that an instance lives. Returns whether Redis knew it.
-- KEYS: its sign of life. ARGV: how long that holds (ms).
local known = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
return known and 1 or 0
