-- The next events of a build, and whether more can come.
-- KEYS[1] build hash   KEYS[2] event stream   KEYS[3] its open rollouts
-- ARGV[1] id of the last entry that was read   ARGV[2] how many at most
-- Result: {-1} where there is no such build; {1 if nothing can follow these events else 0, entries}
local status = redis.call('HGET', KEYS[1], 'status')
if not status then return {-1} end
local entries = redis.call('XRANGE', KEYS[2], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
local isOpen = status == 'queued' or status == 'running' or redis.call('SCARD', KEYS[3]) > 0
local isAll = #entries < tonumber(ARGV[2])
return {(isAll and not isOpen) and 1 or 0, entries}
