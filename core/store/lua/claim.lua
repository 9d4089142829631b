-- Gives a queued build to a worker.
-- KEYS, ARGV 1 to 9: see commit.lua
-- ARGV[10] worker   ARGV[11] end of the lease, Unix milliseconds   ARGV[12] builds of one project at once
-- KEYS[8] turns   KEYS[9] sequence   ARGV[13] project
-- ARGV[14…] events, JSON
-- Result: the fencing token; 'missing', 'stale'; 'limit': the project runs as many builds as it may
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 'missing' end
if isDone() then return redis.call('HGET', KEYS[1], 'claim') end
if version ~= ARGV[2] then return 'stale' end
if redis.call('SCARD', KEYS[5]) >= tonumber(ARGV[12]) then return 'limit' end
local token = redis.call('HINCRBY', KEYS[1], 'fencing', 1)
redis.call('HSET', KEYS[1], 'claim', token, 'worker', ARGV[10], 'leaseUntil', ARGV[11])
redis.call('ZADD', KEYS[4], ARGV[11], ARGV[1])
redis.call('SADD', KEYS[5], ARGV[1])
redis.call('ZADD', KEYS[8], redis.call('INCR', KEYS[9]), ARGV[13])
commit(14)
return tostring(token)
