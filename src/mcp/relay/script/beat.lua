-- Says that an instance lives.
-- KEYS: until when the sign of life of each instance holds (ms), and since when that is whole.
-- ARGV: the instance, for how long its sign holds (ms), whether it has said so before (1), and after how
-- long those that say nothing are forgotten (ms).
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local run, since = string.match(redis.call('GET', KEYS[2]) or '', '^(%x*) (%d+)$')
local holds = redis.call('ZSCORE', KEYS[1], ARGV[1])
-- Where one sign that was given is not there, others may be missing; another process may be a replica that
-- has not heard of all.
local is_missing = ARGV[3] == '1' and (not holds or tonumber(holds) <= now)
if is_missing or run ~= process or tonumber(since) > now or redis.call('ZCARD', KEYS[1]) == 0 then
  since = string.format('%.0f', now)
end
redis.call('SET', KEYS[2], process .. ' ' .. since, 'PX', ARGV[4])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
