-- Says what became of a write, if the key is still its own.
--
-- KEYS: the key. ARGV: the claim; done, free or unknown; the result.
if redis.call('HGET', KEYS[1], 'c') ~= ARGV[1] then return 0 end
if ARGV[2] == 'done' then
  redis.call('HSET', KEYS[1], 's', 'done', 'r', ARGV[3])
elseif ARGV[2] == 'free' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'l', '0')
end
return 1
