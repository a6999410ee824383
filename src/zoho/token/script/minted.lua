-- Says what came of an attempt to mint, unless its lease ran out and another one has begun.
--
-- KEYS: the token; the state of minting; the slots. ARGV: the attempt; then "token",
-- the token and for how many milliseconds it serves; or "stop", why and for how many milliseconds
-- nobody asks; or "unsent": Zoho has not heard of it; or, with no attempt, "retry": Zoho was away and
-- answers again, and what failures in a row are counted from when it does for the first time; or
-- "unaccepted", the token that is not taken and for how many milliseconds nobody asks.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] == 'unaccepted' then
  local state = redis.call('HMGET', KEYS[2], 'l', 's')
  local until_then = now + tonumber(ARGV[4])
  -- Another token, one that is being minted and a longer pause tell more.
  if redis.pcall('GET', KEYS[1]) ~= ARGV[3] or tonumber(state[1] or '0') > now
      or tonumber(state[2] or '0') > until_then then
    return 0
  end
  redis.call('HSET', KEYS[2], 'o', '', 'l', '0', 'w', 'unaccepted', 's', string.format('%.0f', until_then))
  redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[4]) + 600000)
  return 1
end
if redis.call('HGET', KEYS[2], 'o') ~= ARGV[1] then
  return 0
end
if ARGV[2] == 'token' then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  redis.call('DEL', KEYS[2])
elseif ARGV[2] == 'stop' then
  local failures = tonumber(redis.call('HGET', KEYS[2], 'f') or '0') + 1
  redis.call('HSET', KEYS[2], 'o', '', 'l', '0', 'w', ARGV[3], 'f', failures,
    's', string.format('%.0f', now + tonumber(ARGV[4])))
  redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[4]) + 600000)
elseif ARGV[2] == 'retry' then
  local state = redis.call('HMGET', KEYS[2], 'w', 's', 'n', 'b')
  local why = state[1] or ''
  if why == 'throttled' or why == 'unaccepted' or string.sub(why, 1, 8) == 'refused:'
      or tonumber(state[2] or '0') <= now or tonumber(state[3] or '0') > now then
    return 0
  end
  -- Where it comes and goes that is less and less often, after 4, 16, 64 and then every 256 seconds, so
  -- that attempts are left for when it stays.
  local before = math.min(tonumber(state[4] or '0'), 3)
  redis.call('HSET', KEYS[2], 's', '0', 'b', before + 1,
    'n', string.format('%.0f', now + 4000 * 4 ^ before))
  if before == 0 then
    redis.call('HSET', KEYS[2], 'f', ARGV[3])
  end
else
  redis.call('HSET', KEYS[2], 'o', '', 'l', '0')
end
return 1
