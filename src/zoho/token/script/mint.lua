-- Hands out the token that all instances use, or the right to mint one, and keeps the slots for
-- that.
--
-- ARGV: the token that is of no use any more, or ""; the id of this attempt, or "" if only the
-- slots are meant; for how many milliseconds nobody else may try; for how many a slot rests; which
-- credentials ask; then, once they are known, the slots as they were found and what is to take
-- their place. What they mean is none of this script's business: it sees to it that nobody changes
-- what he has not seen.
--
-- Fields of the state: o the attempt that is under way, l the end of its lease, s until when nobody
-- asks, w why, c whose refusal that is, f failures in a row, b how often that was cut short, the
-- first time with f counted anew, n until when it is not again, and g when an operator last had refused
-- credentials tried again.
--
-- Answers {what, which or why, milliseconds}: "token", "slots" and "told" with the time now, "fresh"
-- where Redis has had its data for so short a time that others may not have told it theirs; "mint",
-- or "replace" where the one of no use lies there still, with the failures and the time now, "wait"
-- or "stop" with how long.

-- What is no text was not put there by an instance, and is replaced.
local function read(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value
end

local failures, right = '0', 'mint'
if ARGV[2] ~= '' then
  local token = read(KEYS[1])
  if token and token ~= ARGV[1] then
    return { 'token', token, text(now) }
  end
  right = token and 'replace' or right
  local state = redis.call('HMGET', KEYS[2], 'o', 'l', 's', 'w', 'f', 'c')
  failures = state[5] or '0'
  -- The same question asked twice.
  if state[1] == ARGV[2] then
    return { right, failures, text(now) }
  end
  local left, why = tonumber(state[3] or '0') - now, state[4] or ''
  if string.sub(why, 1, 8) == 'refused:' then
    -- The same refresh token with a wrong secret says nothing of the right one, but a denial does.
    if state[6] ~= ARGV[5] then
      left, why = denied(), 'throttled'
    end
  elseif left > longest then
    left = longest
    redis.call('HSET', KEYS[2], 's', text(now + left))
  end
  if left > 0 then
    return { 'stop', why, text(left) }
  end
  if state[2] and tonumber(state[2]) > now then
    return { 'wait', '', text(tonumber(state[2]) - now) }
  end
end
local slots = read(KEYS[3]) or ''
if not ARGV[7] or slots ~= ARGV[6] then
  local age = now - math.floor((tonumber(string.match(since, ':(.*)')) or 0) * 1000)
  -- Every instance looks each second.
  local fresh = age >= 0 and age < 2000
  return { fresh and 'fresh' or 'slots', slots, text(now) }
end
local rest = tonumber(ARGV[4])
redis.call('SET', KEYS[3], ARGV[7], 'PX', 2 * rest)
if ARGV[2] == '' then
  return { 'told', '', text(now) }
end
redis.call('HSET', KEYS[2], 'o', ARGV[2], 'l', text(now + tonumber(ARGV[3])))
redis.call('PEXPIRE', KEYS[2], rest)
return { right, failures, text(now) }
