-- Hands out the token that all instances use, or the right to mint one.
--
-- KEYS: the token; the state of minting; when tokens were asked for. ARGV: the token that is of no
-- use any more, or ""; the id of this attempt; for how many milliseconds nobody else may try; the
-- length of the window and how often it may be asked in it; then, for each time that this instance
-- knows of, how many milliseconds ago it was, and its id.
--
-- Fields of the state: o the attempt that is under way, l the end of its lease, s until when nobody
-- asks, w why, f failures in a row. Answers {what, which or why, milliseconds}: "token" with the
-- time now, "mint" with the failures and the time now, "wait" or "stop" with how long.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Concatenation would round: a number of milliseconds has more digits than Lua writes.
local function text(number)
  return string.format('%.0f', number)
end

local token = redis.call('GET', KEYS[1])
if token and token ~= ARGV[1] then
  return { 'token', token, text(now) }
end
local state = redis.call('HMGET', KEYS[2], 'o', 'l', 's', 'w', 'f')
-- The same question asked twice.
if state[1] == ARGV[2] then
  return { 'mint', state[5] or '0', text(now) }
end
if state[3] and tonumber(state[3]) > now then
  return { 'stop', state[4], text(tonumber(state[3]) - now) }
end
if state[2] and tonumber(state[2]) > now then
  return { 'wait', '', text(tonumber(state[2]) - now) }
end
local window, most = tonumber(ARGV[4]), tonumber(ARGV[5])
for i = 6, #ARGV, 2 do
  redis.call('ZADD', KEYS[3], 'NX', text(now - tonumber(ARGV[i])), ARGV[i + 1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', text(now - window))
if redis.call('ZCARD', KEYS[3]) >= most then
  local first = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  return { 'stop', 'throttled', text(tonumber(first[2]) + window - now) }
end
redis.call('ZADD', KEYS[3], text(now), ARGV[2])
redis.call('PEXPIRE', KEYS[3], window)
redis.call('HSET', KEYS[2], 'o', ARGV[2], 'l', text(now + tonumber(ARGV[3])))
redis.call('PEXPIRE', KEYS[2], window)
return { 'mint', state[5] or '0', text(now) }
