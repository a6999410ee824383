-- Which process of Redis this is, as a replica that takes its place is another one; empty where the user
-- may not ask. Stands before the scripts that have to know it.
local info = redis.pcall('INFO', 'server')
local process = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''

