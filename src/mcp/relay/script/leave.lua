-- Says that an instance has ended, so that nobody waits until its sign of life has run out.
-- KEYS: until when the sign of life of each instance holds (ms). ARGV: the instance.
local time = redis.call('TIME')
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), 'left ' .. ARGV[1])
return 1
