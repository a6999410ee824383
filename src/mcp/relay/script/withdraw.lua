-- Takes a letter back: from now on nobody takes it, also if it comes only now.
-- KEYS: what is known of the letter. ARGV: how long that is kept (ms).
-- Returns whether nobody has taken it. Of a letter that Redis does not know nobody can say so, nor of
-- one that waits in the words of another Redis: this one was its replica, and may have lagged behind.
local known = redis.call('GET', KEYS[1])
if known == 'taken' then
  return 0
end
local waited = known == 'waits ' .. process or known == 'withdrawn'
redis.call('SET', KEYS[1], waited and 'withdrawn' or 'unknown', 'PX', ARGV[1])
return waited and 1 or 0
