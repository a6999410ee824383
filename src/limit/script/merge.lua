-- Puts calls into a window that were admitted without asking. Doing it twice changes nothing.
--
-- KEYS: the window. ARGV: its span in microseconds; then for each call how many microseconds ago
-- it was admitted, and its id.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local span = tonumber(ARGV[1])
for i = 2, #ARGV, 2 do
  local age = tonumber(ARGV[i])
  if age < span then
    redis.call('ZADD', KEYS[1], 'NX', string.format('%.0f', now - age), ARGV[i + 1])
  end
end
redis.call('PEXPIRE', KEYS[1], math.ceil(span / 1000))
return 1
