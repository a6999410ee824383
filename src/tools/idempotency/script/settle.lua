-- Says what became of a write, if the key is still its own.
--
-- KEYS: the key. ARGV: the claim; done, free, resend or unknown; the result; for how long Zoho may
-- work on after an attempt, in milliseconds.
if redis.call('HGET', KEYS[1], 'c') ~= ARGV[1] then return 0 end
if ARGV[2] == 'done' then
  redis.call('HSET', KEYS[1], 's', 'done', 'r', ARGV[3])
elseif ARGV[2] == 'free' then
  redis.call('DEL', KEYS[1])
elseif ARGV[2] == 'resend' then
  redis.call('HSET', KEYS[1], 'u', '')
else
  redis.call('HSET', KEYS[1], 'l', '0')
  -- A claim that sent nothing leaves the time as it was.
  if (redis.call('HGET', KEYS[1], 'u') or '') == '' then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('HSET', KEYS[1], 'u', string.format('%.0f', now + tonumber(ARGV[4])))
  end
end
return 1
