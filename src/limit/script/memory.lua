-- What Redis does when it is full. KEYS: any of ours, which leads to the node that has them. Answers
-- {bytes that it may use or 0, the policy}, or nothing where the user may not ask.
local info = redis.pcall('INFO', 'memory')
if type(info) ~= 'string' then
  return {}
end
return { string.match(info, 'maxmemory:(%d+)') or '0', string.match(info, 'maxmemory_policy:([%w-]+)') or '' }
