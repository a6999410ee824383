-- Keeps that Zoho itself says that the organisation's credits are spent, for all instances and for
-- those that start later.
--
-- KEYS: the ledger of the organisation. ARGV: "spent", for how many milliseconds nobody asks, and
-- after how many they are back; or "kept", the same, from an instance that remembers it after Redis
-- has lost it; or "over" and how many milliseconds ago was asked what Zoho has done since: that ends
-- only a pause that is older; or "more" and how many milliseconds ago was asked what Zoho has answered
-- without a word of what remains: that ends only a word that is older.
--
-- Fields of the ledger: pb when credits are back, pa when one request may ask all the same, ps when
-- Zoho said so. A pause that is over has "0" for all. Answers for how many milliseconds there is one.
local back = back_at(redis.call('HGET', KEYS[1], 'pb'))
if ARGV[1] == 'over' then
  local said = tonumber(redis.call('HGET', KEYS[1], 'ps') or '') or 0
  if said > now or said <= now - tonumber(ARGV[2]) then
    back = 0
    redis.call('HSET', KEYS[1], 'pb', '0', 'pa', '0', 'ps', '0')
    redis.call('PEXPIRE', KEYS[1], DAY)
  end
elseif ARGV[1] == 'more' then
  local said = tonumber(redis.call('HGET', KEYS[1], 'la') or '') or 0
  if said > 0 and said <= now - tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[1], 'la', '0')
  end
elseif ARGV[1] == 'spent' or back <= now then
  back = back_at(now + tonumber(ARGV[3]))
  redis.call('HSET', KEYS[1], 'pb', text(back), 'pa', text(now + tonumber(ARGV[2])),
    'ps', text(now))
  redis.call('PEXPIRE', KEYS[1], DAY)
end
return math.max(back - now, 0)
