-- Prolongs the lease of a claim.
-- KEYS[1] build hash   KEYS[2] leases
-- ARGV[1] build id   ARGV[2] fencing token   ARGV[3] new end of the lease, Unix milliseconds
-- Result: {0} where the claim is lost; {1, why the build shall be cancelled or false}
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[2] then return {0} end
redis.call('HSET', KEYS[1], 'leaseUntil', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return {1, redis.call('HGET', KEYS[1], 'cancel')}
