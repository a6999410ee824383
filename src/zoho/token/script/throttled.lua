-- Puts into Redis that nobody asks because too many tokens were asked for: it may have lost that, or not
-- have heard of it.
--
-- KEYS: the token; the state of minting; the slots. ARGV: for how many milliseconds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', KEYS[2], 'l', 's', 'w', 'f')
local until_then, why = tonumber(state[2] or '0'), state[3] or ''
local wanted = now + tonumber(ARGV[1])
-- What is long over holds nobody back. What was heard from here and comes back late is no longer denial.
local is_known = string.sub(why, 1, 8) == 'refused:' or (why == 'throttled' and wanted <= until_then + 2000)
if until_then > now and is_known then
  return 0
end
until_then = math.max(until_then, wanted)
-- Who asks at the moment goes on, and says what came of it.
if tonumber(state[1] or '0') <= now then
  redis.call('HSET', KEYS[2], 'o', '', 'l', '0')
end
redis.call('HSET', KEYS[2], 'w', 'throttled', 'f', state[4] or '1', 's', string.format('%.0f', until_then))
redis.call('PEXPIRE', KEYS[2], string.format('%.0f', until_then - now + 600000))
return 1
