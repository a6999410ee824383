-- Counts a call in every window that applies to it, or in none.
--
-- KEYS: the epoch; the windows; then, for a call that needs a place, its client's places and all.
-- ARGV: the epoch that the caller has merged into; the process that has to answer, or '' where the
-- caller knows that it does; the call's id; the number of windows; for each window its limit, its
-- span in microseconds and "1" when it only watches; then, where places are asked for, how many the
-- client may have, how many all may have, for each of the two "1" when it only watches, for how many
-- microseconds a place is kept, and the ids, 8 bytes each, whose places are free again.
--
-- A window is a sorted set of ids by the time in microseconds at which they were admitted. Beside
-- them stand the spans with which instances look at it, each by the negative of the time until which
-- that counts: while instances have different configurations nothing leaves that the longest needs.
-- Places are a sorted set of ids by the time at which they are given up for lost. A call that is refused
-- writes nothing but what others have given back. Answers {verdict, busy, watched, then free, wait,
-- reset and counted for each window}: verdict 1 admitted, 0 refused, -1 other data; busy 1 when the
-- client has no place, 2 when nobody has; watched the same where that refuses nothing; times in
-- microseconds.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return { -1, 0, 0 }
end
-- One that has started again from a snapshot has the epoch and lacks the latest calls.
if ARGV[2] ~= '' and not string.find(redis.call('INFO', 'server'), 'run_id:' .. ARGV[2], 1, true) then
  return { -1, 0, 0 }
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local id, windows = ARGV[3], tonumber(ARGV[4])
local asks = 4 + 3 * windows
local in_flight, places = #KEYS > 1 + windows, { KEYS[2 + windows], KEYS[3 + windows] }

-- Concatenation would round: a number of microseconds has more digits than Lua writes.
local function text(number)
  return string.format('%.0f', number)
end

-- Redis's clock has gone back: what was admitted later than now counts as admitted now. So many at
-- once as do not take long.
local function rewind(key)
  for _, late in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. text(now), '+inf', 'LIMIT', 0, 10000)) do
    redis.call('ZADD', key, text(now), late)
  end
end

-- The longest span of those with which instances look at a window. Its own is written down anew
-- while it still counts for as long as it is.
local function longest(key, span)
  -- Longer than an id, so that it is none.
  local own, most, is_known = string.format('%012.0f', span), span, false
  local spans = redis.call('ZRANGEBYSCORE', key, '-inf', '(-' .. text(now), 'WITHSCORES')
  for i = 1, #spans, 2 do
    most = math.max(most, tonumber(spans[i]))
    is_known = is_known or spans[i] == own and -tonumber(spans[i + 1]) >= now + span
  end
  if not is_known then
    redis.call('ZADD', key, '-' .. text(now + 2 * span), own)
  end
  return most
end

local answer, open, refused = { 1, 0, 0 }, {}, false
for i = 1, windows do
  local key = KEYS[1 + i]
  local limit, span = tonumber(ARGV[2 + 3 * i]), tonumber(ARGV[3 + 3 * i])
  local after = '(' .. text(now - span)
  local count = redis.call('ZCOUNT', key, after, '+inf')
  local wait, counted = 0, 0
  if count >= limit and redis.call('ZCOUNT', key, '(' .. text(now), '+inf') > 0 then
    rewind(key)
  end
  if count >= limit then
    local at = redis.call('ZSCORE', key, id)
    if at and tonumber(at) > now - span then
      counted = 1
    else
      -- A lowered limit leaves too many: more than one has to leave.
      local last = redis.call('ZRANGEBYSCORE', key, after, '+inf', 'WITHSCORES', 'LIMIT', count - limit, 1)
      wait = math.min(tonumber(last[2]) - now, 0) + span
      refused = refused or ARGV[4 + 3 * i] ~= '1'
    end
  end
  local oldest = 0
  if count > 0 then
    local first = redis.call('ZRANGEBYSCORE', key, after, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    oldest = math.min(tonumber(first[2]) - now, 0) + span
  end
  open[i] = wait == 0 and counted == 0
  local at = 4 * i
  answer[at], answer[at + 1] = math.max(limit - count, 0), wait
  answer[at + 2], answer[at + 3] = oldest, counted
end

if in_flight then
  local free = ARGV[asks + 6]
  for i = 1, #free, 8 do
    redis.call('ZREM', places[1], string.sub(free, i, i + 7))
    redis.call('ZREM', places[2], string.sub(free, i, i + 7))
  end
  for i = 1, 2 do
    -- One that is kept for so long was taken before Redis's clock went back; whoever has it still
    -- says so in time.
    local taken = redis.call('ZCOUNT', places[i], '(' .. text(now), text(now + 2 * tonumber(ARGV[asks + 5])))
    if taken >= tonumber(ARGV[asks + i]) and not redis.call('ZSCORE', places[i], id) then
      local at = ARGV[asks + 2 + i] == '1' and 3 or 2
      if answer[at] == 0 then
        answer[at] = i
      end
    end
  end
end
if refused or answer[2] > 0 then
  answer[1] = 0
  return answer
end

for i = 1, windows do
  if open[i] then
    local key, span = KEYS[1 + i], tonumber(ARGV[3 + 3 * i])
    -- Adding comes first: a Redis without memory then refuses before anything is written.
    if redis.call('ZADD', key, 'NX', text(now), id) == 0 then
      if tonumber(redis.call('ZSCORE', key, id)) > now - span then
        answer[4 * i + 3] = 1
      else
        redis.call('ZADD', key, text(now), id)
      end
    end
    local keep = longest(key, span)
    redis.call('ZREMRANGEBYSCORE', key, '-' .. text(now), text(now - keep))
    redis.call('PEXPIRE', key, math.ceil(keep / 1000))
  end
end
if in_flight then
  local keep = tonumber(ARGV[asks + 5])
  for i = 1, 2 do
    redis.call('ZADD', places[i], text(now + keep), id)
    redis.call('ZREMRANGEBYSCORE', places[i], '-inf', text(now))
    redis.call('PEXPIRE', places[i], math.ceil(keep / 1000))
  end
end
return answer
