-- Since when Redis has lost no key. The mark is a hash: e the name of the data, s since when nothing
-- of it was lost, in milliseconds, p the process that holds it: one that has started again may have
-- read an older state.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A month without an instance, in milliseconds.
local KEPT = 2592000000

-- Answers the name and its age, after making another mark where something may have been lost. `fresh`
-- is the name to give it; `process` is '' where it is not known and '*' where it has to be asked.
local function complete(mark, fresh, process)
  if process == '*' then
    -- A user may not be allowed to ask.
    local info = redis.pcall('INFO', 'server')
    process = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
  end
  local known = redis.call('HMGET', mark, 'e', 's', 'p')
  local held_by = known[3] or ''
  if not known[1] or (held_by ~= '' and process ~= '' and held_by ~= process) then
    redis.call('HSET', mark, 'e', fresh, 's', string.format('%.0f', now), 'p', process)
    redis.call('PEXPIRE', mark, KEPT)
    return fresh, 0
  end
  if held_by == '' and process ~= '' then
    redis.call('HSET', mark, 'p', process)
  end
  redis.call('PEXPIRE', mark, KEPT)
  return known[1], now - tonumber(known[2])
end
