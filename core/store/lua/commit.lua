-- Prepended to the scripts that change a build that exists. What they share:
-- KEYS[1] build hash            KEYS[5] the project's running builds
-- KEYS[2] build's event stream  KEYS[6] builds of the status it had
-- KEYS[3] its open rollouts     KEYS[7] builds of its new status
-- KEYS[4] leases
-- ARGV[1] build id              ARGV[5] channel
-- ARGV[2] expected version      ARGV[6] message for the channel
-- ARGV[3] new status            ARGV[7] rollouts that open, JSON array
-- ARGV[4] new record, JSON      ARGV[8] rollouts that close, JSON array
-- ARGV[9] name of this change: a client that lost the connection before the answer came sends the same one again
local function isDone()
  return redis.call('HGET', KEYS[1], 'change') == ARGV[9]
end
local function commit(firstEvent)
  for i = firstEvent, #ARGV do
    redis.call('XADD', KEYS[2], '*', 'e', ARGV[i])
  end
  for _, rollout in ipairs(cjson.decode(ARGV[7])) do redis.call('SADD', KEYS[3], rollout) end
  for _, rollout in ipairs(cjson.decode(ARGV[8])) do redis.call('SREM', KEYS[3], rollout) end
  if KEYS[6] ~= KEYS[7] then
    redis.call('ZREM', KEYS[6], ARGV[1])
    redis.call('ZADD', KEYS[7], redis.call('HGET', KEYS[1], 'sequence'), ARGV[1])
  end
  redis.call('HSET', KEYS[1], 'record', ARGV[4], 'status', ARGV[3], 'change', ARGV[9])
  redis.call('HINCRBY', KEYS[1], 'version', 1)
  if ARGV[3] ~= 'running' then
    redis.call('HDEL', KEYS[1], 'claim', 'worker', 'leaseUntil')
    redis.call('ZREM', KEYS[4], ARGV[1])
    redis.call('SREM', KEYS[5], ARGV[1])
  end
  redis.call('PUBLISH', ARGV[5], ARGV[6])
end

