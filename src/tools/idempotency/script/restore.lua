-- Puts back what an instance knows, after Redis has lost data. What Redis knows already stays, but
-- that a key is done is known for good.
--
-- KEYS: the mark; keys; records. ARGV: the data that is told; the instance; for how long a call may
-- run, in milliseconds; how many keys there are; for each key its arguments, state, claim, begin,
-- for how many milliseconds an attempt may still have an effect, the result, and for how many it is
-- kept; for each record its key and for how many milliseconds it is kept. Answers 0 if it is other
-- data by now.
if redis.call('HGET', KEYS[1], 'e') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local keys, at = tonumber(ARGV[4]), 4
for i = 2, keys + 1 do
  local state, known = ARGV[at + 2], redis.call('HGET', KEYS[i], 's')
  if not known or (state == 'done' and known ~= 'done') then
    local lease, over = '0', string.format('%.0f', now + tonumber(ARGV[at + 5]))
    if state == 'running' then
      lease, over = string.format('%.0f', now + tonumber(ARGV[3])), ''
    end
    redis.call('HSET', KEYS[i], 'a', ARGV[at + 1], 's', state == 'done' and 'done' or 'running',
      'o', ARGV[2], 'c', ARGV[at + 3], 'b', ARGV[at + 4], 'l', lease, 'k', 'unknown',
      'r', ARGV[at + 6], 'u', over)
    redis.call('PEXPIRE', KEYS[i], ARGV[at + 7])
  end
  at = at + 7
end
for i = keys + 2, #KEYS do
  if not redis.call('GET', KEYS[i]) then
    redis.call('SET', KEYS[i], ARGV[at + 1], 'PX', ARGV[at + 2])
  end
  at = at + 2
end
return 1
