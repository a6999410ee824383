-- Says what came of an attempt to mint, unless its lease ran out and another one has begun.
--
-- ARGV: the attempt; then "token", the token and for how many milliseconds it serves; or "stop",
-- why, for how many milliseconds nobody asks and which credentials asked; or "unsent": Zoho has not
-- heard of it; or, with no attempt, "retry": Zoho was away and answers again, and what failures in
-- a row are counted from when it does for the first time; or "unaccepted", the token that is not
-- taken and for how many milliseconds nobody asks; or "taken" and the token that was not and is
-- again; or "forgive" and for how many milliseconds not again: an operator lets everybody ask again.
if ARGV[2] == 'unaccepted' then
  local state = redis.call('HMGET', KEYS[2], 'l', 's', 'w')
  local ends, until_then = tonumber(state[2] or '0'), now + tonumber(ARGV[4])
  -- Another token, one that is being minted, a longer pause and that too many were asked for tell more.
  if redis.pcall('GET', KEYS[1]) ~= ARGV[3] or tonumber(state[1] or '0') > now
      or ends > until_then or ends > now and state[3] == 'throttled' then
    return 0
  end
  redis.call('HSET', KEYS[2], 'o', '', 'l', '0', 'w', 'unaccepted', 's', text(until_then))
  redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[4]) + 600000)
  return 1
end
if ARGV[2] == 'taken' then
  if redis.pcall('GET', KEYS[1]) ~= ARGV[3] or redis.call('HGET', KEYS[2], 'w') ~= 'unaccepted' then
    return 0
  end
  redis.call('HSET', KEYS[2], 'w', '', 's', '0')
  return 1
end
if ARGV[2] == 'forgive' then
  local state = redis.call('HMGET', KEYS[2], 'w', 'g')
  -- That too many were asked for nobody can forgive but Zoho.
  if string.sub(state[1] or '', 1, 8) ~= 'refused:' then
    return 1
  end
  local age = now - tonumber(state[2] or '0')
  if age >= 0 and age < tonumber(ARGV[3]) then
    return 0
  end
  redis.call('HSET', KEYS[2], 'w', '', 's', '0', 'f', '0', 'g', text(now))
  return 1
end
if redis.call('HGET', KEYS[2], 'o') ~= ARGV[1] then
  return 0
end
if ARGV[2] == 'token' then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  redis.call('DEL', KEYS[2])
  no_longer_deny()
elseif ARGV[2] == 'stop' then
  local state = redis.call('HMGET', KEYS[2], 'f', 's', 'w')
  local pause, why, left = tonumber(ARGV[4]), ARGV[3], math.min(tonumber(state[2] or '0') - now, longest)
  -- Another instance was told meanwhile that too many were asked for.
  if state[3] == 'throttled' and left > pause then
    pause, why = left, 'throttled'
  end
  redis.call('HSET', KEYS[2], 'o', '', 'l', '0', 'w', why, 'f', tonumber(state[1] or '0') + 1,
    'c', ARGV[5], 's', text(now + pause))
  redis.call('PEXPIRE', KEYS[2], pause + 600000)
  if why == 'throttled' then
    deny(now + pause)
  elseif left <= 0 or state[3] ~= 'throttled' then
    no_longer_deny()
  end
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
  redis.call('HSET', KEYS[2], 's', '0', 'b', before + 1, 'n', text(now + 4000 * 4 ^ before))
  if before == 0 then
    redis.call('HSET', KEYS[2], 'f', ARGV[3])
  end
else
  redis.call('HSET', KEYS[2], 'o', '', 'l', '0')
end
return 1
