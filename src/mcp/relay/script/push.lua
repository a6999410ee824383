-- Puts a letter into the queue of an instance that lives, while there is room. One that may not be taken
-- back is put there in any case: such a queue does not last.
-- KEYS: its queue, its sign of life, and what is known of a letter that may be taken back.
-- ARGV: the letter, how many may wait, how long the queue stays (ms), and for how long a letter that
-- may be taken back may be taken (ms).
-- Returns 0 when the instance is gone, 1 when its queue is full, 2 when it has the letter, or had it.
-- Whoever waits for an answer lives, also where Redis has lost that.
if KEYS[3] and not redis.call('GET', KEYS[2]) then
  return 0
end
if KEYS[3] and redis.call('GET', KEYS[3]) then
  return 2
end
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[2]) then
  return 1
end
if KEYS[3] then
  -- A user may not be allowed to ask.
  local info = redis.pcall('INFO', 'server')
  local process = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
  redis.call('SET', KEYS[3], 'waits ' .. process, 'PX', ARGV[4])
end
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 2
