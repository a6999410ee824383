-- {since when this is kept, who is denied tokens and for how many milliseconds still, in turns}. The first is
-- another one when Redis has lost its data.
local ends = redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. text(now), '+inf', 'WITHSCORES')
for n = 2, #ends, 2 do
  local left = tonumber(ends[n]) - now
  if left > longest then
    left = longest
    redis.call('ZADD', KEYS[4], text(now + left), ends[n - 1])
  end
  ends[n] = text(left)
end
return { since, ends }
