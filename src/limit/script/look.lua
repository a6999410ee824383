-- How full windows and places are; writes nothing.
--
-- KEYS: windows and places. ARGV: for each the span in microseconds, or "0" for places. Answers
-- for each {how many are in it, microseconds until the first of them leaves}.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer = {}
for i, key in ipairs(KEYS) do
  local span = tonumber(ARGV[i])
  local after = '(' .. string.format('%.0f', now - span)
  local count = redis.call('ZCOUNT', key, after, '+inf')
  local first = redis.call('ZRANGEBYSCORE', key, after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  answer[2 * i - 1] = count
  answer[2 * i] = first[2] and math.min(tonumber(first[2]) - now, 0) + span or 0
end
return answer
