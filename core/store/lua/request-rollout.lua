-- Requests a rollout once per target and digest; the build follows the rollout that results.
-- KEYS[1] target hash   KEYS[2] rollout hash   KEYS[3] all rollouts   KEYS[4] the project's rollouts
-- KEYS[5] open rollouts   KEYS[6] sequence
-- ARGV[1] rollout id   ARGV[2] record, JSON   ARGV[3] digest   ARGV[4] build id   ARGV[5] what keys of rollouts begin with
-- ARGV[6] channel
-- Result: id of the rollout: ARGV[1] or the newest one of the target, if that has the same digest and did not fail
local newest = redis.call('HGET', KEYS[1], 'newest')
if newest then
  local known = redis.call('HMGET', ARGV[5] .. newest, 'digest', 'status')
  local status = known[2]
  if known[1] == ARGV[3] and (status == 'pending' or status == 'progressing' or status == 'succeeded') then
    redis.call('SADD', ARGV[5] .. newest .. ':builds', ARGV[4])
    return newest
  end
end
local sequence = redis.call('INCR', KEYS[6])
redis.call('HSET', KEYS[2], 'record', ARGV[2], 'digest', ARGV[3], 'status', 'pending')
redis.call('SADD', ARGV[5] .. ARGV[1] .. ':builds', ARGV[4])
redis.call('HSET', KEYS[1], 'newest', ARGV[1])
for i = 3, 5 do redis.call('ZADD', KEYS[i], sequence, ARGV[1]) end
redis.call('PUBLISH', ARGV[6], ARGV[1])
return ARGV[1]
