-- Puts into Redis that nobody asks because too many tokens were asked for: it may have lost that, or not
-- have heard of it.
--
-- ARGV: for how many milliseconds.
local state = redis.call('HMGET', KEYS[2], 'l', 's', 'w', 'f')
local until_then, why = math.min(tonumber(state[2] or '0'), now + longest), state[3] or ''
local wanted = now + tonumber(ARGV[1])
if until_then > now and string.sub(why, 1, 8) == 'refused:' then
  -- Whom these are refused to does not ask; others with the same refresh token are denied all the same.
  deny(wanted)
  return 0
end
-- What was heard from here and comes back late is no longer denial, nor one that is not over.
if why ~= 'throttled' or wanted > until_then + 2000 then
  until_then = math.max(until_then, wanted)
  -- Who asks at the moment goes on, and says what came of it.
  if tonumber(state[1] or '0') <= now then
    redis.call('HSET', KEYS[2], 'o', '', 'l', '0')
  end
  redis.call('HSET', KEYS[2], 'w', 'throttled', 'f', state[4] or '1', 's', text(until_then))
  redis.call('PEXPIRE', KEYS[2], text(until_then - now + 600000))
end
if until_then > now then
  deny(until_then)
end
return 1
