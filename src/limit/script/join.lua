-- Says that an instance lives, and asks which data this is.
--
-- KEYS: the epoch; the instances that live; what they make names with. ARGV: the epoch to begin when
-- there is none, because Redis is new or has lost its data; for how many milliseconds it is kept;
-- the instance's id; for how many microseconds it counts as living; the fingerprint of what it makes
-- names with; "1" where the process that answers may be another one each time. Answers {the epoch,
-- the number of instances, 1 where those that live make names with the same, the process or ''}.
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lives = math.ceil(ARGV[4] / 1000)
redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[4]), ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[2], lives)
-- It ends with the last instance that has it, so that others may come after it.
redis.call('SET', KEYS[3], ARGV[5], 'NX', 'PX', lives)
local same = redis.call('GET', KEYS[3]) == ARGV[5]
if same then
  redis.call('PEXPIRE', KEYS[3], lives)
end
local process = ''
if ARGV[6] == '1' then
  -- A user may not be allowed to ask.
  local info = redis.pcall('INFO', 'server')
  process = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
end
return { redis.call('GET', KEYS[1]), redis.call('ZCARD', KEYS[2]), same and 1 or 0, process }
