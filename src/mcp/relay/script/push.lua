-- Puts a letter into the queue of an instance that lives, while there is room.
-- KEYS: its queue, its sign of life. ARGV: the letter, how many may wait, how long they may (ms).
-- Returns 0 when the instance is gone, 1 when its queue is full, 2 when it has the letter.
if not redis.call('GET', KEYS[2]) then
  return 0
end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then
  return 1
end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 2
