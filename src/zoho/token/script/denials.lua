-- The clock of Redis, and the set of who was denied tokens, by when that ends. Each instance reads it every
-- second, so that it keeps to that when Redis is gone.
--
-- KEYS, here and in what follows: a token; the state of minting; the slots; the set.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Concatenation would round: a number of milliseconds has more digits than Lua writes.
local function text(number)
  return string.format('%.0f', number)
end

-- For so long Zoho denies tokens. What holds all back for longer stems from before the clock was set back.
local longest = 900000

-- Whom the state is about.
local name = string.match(KEYS[2], '[^:]*$')

local function deny(until_then)
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', text(now))
  -- The daemon itself, and as many people as may have credentials.
  if redis.call('ZCARD', KEYS[4]) <= 10000 then
    redis.call('ZADD', KEYS[4], text(until_then), name)
    redis.call('PEXPIRE', KEYS[4], 2 * longest)
  end
end

local function no_longer_deny()
  redis.call('ZREM', KEYS[4], name)
end

