-- Takes a letter for good, unless its sender has taken it back or its time is over, or another Redis
-- has it now, which may not have been told of either.
-- KEYS: what is known of the letter. ARGV: how long that is kept (ms).
if redis.call('GET', KEYS[1]) ~= 'waits ' .. process then
  return 0
end
redis.call('SET', KEYS[1], 'taken', 'PX', ARGV[1])
return 1
