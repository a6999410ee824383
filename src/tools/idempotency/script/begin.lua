-- Takes a key for a write, or says what is known of it.
--
-- KEYS: the key; the mark. ARGV: digest of the arguments; the instance; the claim; when the call began
-- and for how long it may run, the key is kept, and Zoho may work on after an attempt, in milliseconds;
-- the data that the instance has told what it knows; a name for other data; the process; for how many
-- milliseconds instances may need to tell what they know.
-- Fields: a arguments, s state, o instance, c claim, b begun, l end of the lease, k how the claim
-- was given, r result, u until when an earlier attempt may still have an effect, empty while one
-- may be on its way.
local epoch, age = complete(KEYS[2], ARGV[9], ARGV[10])
if epoch ~= ARGV[8] then return {'tell', epoch, 0} end
local known = redis.call('HMGET', KEYS[1], 'a', 's', 'o', 'c', 'b', 'l', 'k', 'r', 'u')
local lease = string.format('%.0f', now + tonumber(ARGV[5]))
if not known[1] then
  local telling = tonumber(ARGV[11]) - age
  if telling > 0 then return {'wait', '', telling} end
  -- Keys that were lost are all forgotten by then.
  local how = age < tonumber(ARGV[6]) and 'forgotten' or 'new'
  redis.call('HSET', KEYS[1], 'a', ARGV[1], 's', 'running', 'o', ARGV[2], 'c', ARGV[3],
    'b', ARGV[4], 'l', lease, 'k', how, 'u', '')
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  return {how, ARGV[4], 0}
end
if known[1] ~= ARGV[1] then return {'reused', '', 0} end
if known[2] == 'done' then return {'done', known[8], 0} end
-- Nobody said how the attempt ended: it did at the end of its lease, or before now.
local over = tonumber(known[9] or '') or math.min(now, tonumber(known[6])) + tonumber(ARGV[7])
local left = math.max(0, over - now)
-- The same question asked twice.
if known[4] == ARGV[3] then return {known[7], known[5], left} end
-- What an instance runs it knows itself: that it asks means that the call is over.
local lasts = tonumber(known[6]) - now
if known[3] ~= ARGV[2] and lasts > 0 then return {'in_use', '', lasts} end
redis.call('HSET', KEYS[1], 'o', ARGV[2], 'c', ARGV[3], 'l', lease, 'k', 'unknown',
  'u', string.format('%.0f', over))
return {'unknown', known[5], left}
