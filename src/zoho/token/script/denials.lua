-- The clock of Redis, and the set of who was denied tokens, by when that ends. Each instance reads
-- it every second, so that it keeps to that when Redis is gone.
--
-- KEYS, here and in what follows: a token; the state of minting; the slots; the set; since when it
-- is kept.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Concatenation would round: a number of milliseconds has more digits than Lua writes.
local function text(number)
  return string.format('%.0f', number)
end

-- For so long Zoho denies tokens. What holds all back for longer stems from before the clock was
-- set back.
local longest = 900000

-- Whom the state is about.
local name = string.match(KEYS[2], '[^:]*$')

-- People who have credentials and who had some, and the daemon itself.
local most = 20001

-- Since when Redis keeps what it is told: another one when it has lost its data, or has started again
-- and may have read what was there before. A user may not be allowed to ask which process it is.
local info = redis.pcall('INFO', 'server')
local process = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
local since = redis.pcall('GET', KEYS[5])
if type(since) ~= 'string' or string.match(since, '^(%x*):') ~= process then
  since = string.format('%s:%d.%06d', process, time[1], time[2])
  redis.call('SET', KEYS[5], since)
end
redis.call('PEXPIRE', KEYS[5], 2 * longest)

-- What is no set, or has too much in it, was not put there by instances: those who know a denial
-- tell it again.
local known = redis.pcall('ZCARD', KEYS[4])
if type(known) ~= 'number' or known > most then
  redis.call('DEL', KEYS[4])
end

local function deny(until_then)
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', text(now))
  if redis.call('ZCARD', KEYS[4]) < most then
    redis.call('ZADD', KEYS[4], text(until_then), name)
    redis.call('PEXPIRE', KEYS[4], 2 * longest)
  end
end

-- For how long it is denied still, whatever the state says.
local function denied()
  local ends = redis.pcall('ZSCORE', KEYS[4], name)
  return math.min((tonumber(ends) or 0) - now, longest)
end

local function no_longer_deny()
  redis.call('ZREM', KEYS[4], name)
end

