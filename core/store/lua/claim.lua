-- Gives a queued build to a worker.
-- KEYS, ARGV 1 to 8: see commit.lua
-- ARGV[9] worker   ARGV[10] end of the lease, Unix milliseconds   ARGV[11] builds of one project at once
-- ARGV[12…] events, JSON
-- Result: the fencing token; 'missing', 'stale'; 'limit': the project runs as many builds as it may
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 'missing' end
if version ~= ARGV[2] then return 'stale' end
if redis.call('SCARD', KEYS[5]) >= tonumber(ARGV[11]) then return 'limit' end
local token = redis.call('HINCRBY', KEYS[1], 'fencing', 1)
redis.call('HSET', KEYS[1], 'claim', token, 'worker', ARGV[9], 'leaseUntil', ARGV[10])
redis.call('ZADD', KEYS[4], ARGV[10], ARGV[1])
redis.call('SADD', KEYS[5], ARGV[1])
commit(12)
return tostring(token)
