-- Puts back, after Redis has lost its data, that nobody asks because too many tokens were asked for.
--
-- KEYS: the token; the state of minting; the slots. ARGV: for how many milliseconds.
if redis.call('HGET', KEYS[2], 'w') then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[2], 'o', '', 'l', '0', 'w', 'throttled', 'f', '1',
  's', string.format('%.0f', now + tonumber(ARGV[1])))
redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[1]) + 600000)
return 1
