-- Takes a place among the requests in flight and pays for the request, or does neither.
--
-- KEYS: all places; the places of queries; the instances; the ledgers of the organisation and of the
-- client. ARGV: the request's id; the instance's; when it was last heard of, or "" where it has spent
-- nothing; for how many milliseconds a place is kept; how many places there are; how many for
-- queries, "0" for what is none; the credits; what the organisation and the client may have spent
-- afterwards; what has to remain; what Zoho said last that remains, or ""; the ids, 8 bytes each,
-- whose places are free again.
--
-- Places are a sorted set of ids by the time at which they are given up for lost. Answers {verdict,
-- seconds to wait, what the organisation has spent, places taken, for how many milliseconds Zoho has
-- no credits, the time}: verdict 1 go on, 0 no place, 2 the organisation has spent all, 3 the client has, 4 Zoho
-- says that nothing remains, 5 that no more does than has to, 6 that it has refused somebody for that,
-- -1 Redis has lost what the instance told it in so many seconds, or in all where they are 0.
local free = ARGV[12]
for i = 1, #free, 8 do
  redis.call('ZREM', KEYS[1], string.sub(free, i, i + 7))
  redis.call('ZREM', KEYS[2], string.sub(free, i, i + 7))
end
local ago, is_known = heard(KEYS[3], ARGV[2], ARGV[3])
if not is_known then
  return { -1, seconds_ago(ago), 0, 0, 0, now }
end
redis.call('ZADD', KEYS[3], text(now), ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', text(now - DAY))
redis.call('PEXPIRE', KEYS[3], DAY)

local lease, places, queries = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local credits, floor = tonumber(ARGV[7]), tonumber(ARGV[10])
local org, org_at = spent(KEYS[4])
local taken = redis.call('ZCOUNT', KEYS[1], '(' .. text(now), '+inf')
-- See the script of the pause.
local known = redis.call('HMGET', KEYS[4], 'l', 'la', 'ls', 'lt', 'pb', 'pa')
local paused = math.max(back_at(known[5]) - now, 0)
-- The same question asked twice.
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  return { 1, 0, org, taken, paused, now }
end
-- What Zoho says that remains: l how much, la when it last said so, ls since when that may only be
-- lowered, because answers overtake each other, lt when one was let through to ask.
local left, said = known[1] and tonumber(known[1]), tonumber(known[2] or '0')
local asked = tonumber(known[4] or '0')
if ARGV[11] ~= '' then
  local since = tonumber(known[3] or '0')
  if not left or asked > said or since + 10000 < now then
    left, since = tonumber(ARGV[11]), now
  end
  left, said = math.min(left, tonumber(ARGV[11])), now
  redis.call('HSET', KEYS[4], 'l', text(left), 'la', text(now), 'ls', text(since))
  redis.call('PEXPIRE', KEYS[4], DAY)
elseif said + 900000 < now then
  -- Zoho says nothing while more than half is left.
  left = nil
end
if paused > 0 and now < at_most(60000, known[6]) then
  return { 6, math.ceil(paused / 1000), org, taken, paused, now }
end
if org + credits > tonumber(ARGV[8]) then
  return { 2, wait(KEYS[4], org + credits - tonumber(ARGV[8])), org, taken, paused, now }
end
local client, client_at = spent(KEYS[5])
if client + credits > tonumber(ARGV[9]) then
  return { 3, wait(KEYS[5], client + credits - tonumber(ARGV[9])), org, taken, paused, now }
end
if left and left - credits < floor then
  -- Once a minute one may ask all the same, since Zoho alone knows what came back.
  local again = math.max(said, asked) + 60000 - now
  if again > 0 then
    return { left < credits and 4 or 5, math.ceil(again / 1000), org, taken, paused, now }
  end
  redis.call('HSET', KEYS[4], 'lt', text(now))
end
if taken >= places then
  return { 0, 0, org, taken, paused, now }
end
if queries > 0 and redis.call('ZCOUNT', KEYS[2], '(' .. text(now), '+inf') >= queries then
  return { 0, 0, org, taken, paused, now }
end
for i = 1, queries > 0 and 2 or 1 do
  redis.call('ZADD', KEYS[i], text(now + lease), ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', text(now))
  redis.call('PEXPIRE', KEYS[i], lease)
end
if left then
  redis.call('HSET', KEYS[4], 'l', text(math.max(left - credits, 0)))
end
if paused > 0 then
  -- This one asks; should it go away, the next one does so in a minute.
  redis.call('HSET', KEYS[4], 'pa', text(now + 60000))
end
charge(KEYS[5], credits, 0, client, client_at)
return { 1, 0, charge(KEYS[4], credits, 0, org, org_at), taken + 1, paused, now }
