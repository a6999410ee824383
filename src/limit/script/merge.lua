-- Puts calls into windows that were admitted without asking. Doing it twice changes nothing.
--
-- KEYS: the windows. ARGV: for each its span in microseconds and the number of its calls; then for
-- each call how many microseconds ago it was admitted, and its id.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local at = 1
for _, key in ipairs(KEYS) do
  local span, calls = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  at = at + 2
  for i = at, at + 2 * calls - 2, 2 do
    local age = tonumber(ARGV[i])
    if age < span then
      redis.call('ZADD', key, 'NX', string.format('%.0f', now - age), ARGV[i + 1])
    end
  end
  at = at + 2 * calls
  -- The spans of other instances stand beside the calls.
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', '(-' .. string.format('%.0f', now))) do
    span = math.max(span, tonumber(other))
  end
  redis.call('PEXPIRE', key, math.ceil(span / 1000))
end
return 1
