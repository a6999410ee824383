-- Gives places back, says that others are taken and that the instance lives, and pays for what was
-- spent without asking.
--
-- KEYS: all places; the places of queries; the instances; a ledger. ARGV: the instance's id; for how
-- many milliseconds a place is kept; the ids, 8 bytes each, of places that are free, of those that
-- are taken, and of the queries among these; "all" of what the instance has spent, "part" of that
-- with more to come, or what it spent "since"; when it was last heard of, or ""; then, for each quarter
-- of an hour, how long ago it was, in quarters, and its credits. Answers what the ledger holds; 0 if Redis
-- has lost what the instance told, and so takes nothing but that; for how many milliseconds Zoho has no
-- credits, where the ledger is the organisation's; the time; and in how many seconds it was not heard of,
-- 0 where it never was.
local ago, known = heard(KEYS[3], ARGV[1], ARGV[7])
known = known and ago
local takes = known or ARGV[6] ~= 'since'
local lease, free, taken = tonumber(ARGV[2]), ARGV[3], { ARGV[4], ARGV[5] }
for set = 1, 2 do
  for i = 1, #free, 8 do
    redis.call('ZREM', KEYS[set], string.sub(free, i, i + 7))
  end
  for i = 1, #taken[set], 8 do
    redis.call('ZADD', KEYS[set], text(now + lease), string.sub(taken[set], i, i + 7))
  end
  if #taken[set] > 0 then
    redis.call('PEXPIRE', KEYS[set], lease)
  end
end
for i = 8, takes and #ARGV or 0, 2 do
  local age = tonumber(ARGV[i])
  if age < SLOTS then
    charge(KEYS[4], tonumber(ARGV[i + 1]), age, spent(KEYS[4]))
  end
end
if ARGV[6] == 'all' or known then
  redis.call('ZADD', KEYS[3], text(now), ARGV[1])
  redis.call('PEXPIRE', KEYS[3], DAY)
end
local back = back_at(redis.call('HGET', KEYS[4], 'pb'))
return { spent(KEYS[4]), takes and 1 or 0, math.max(back - now, 0), now, seconds_ago(ago) }
