-- Asks which data this is.
--
-- KEYS: the mark. ARGV: a name to give the data if it has none; the process.
local epoch = complete(KEYS[1], ARGV[1], ARGV[2])
return epoch
