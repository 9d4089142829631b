-- Records a delivery, and drops the oldest of the same owner.
-- KEYS[1] delivery   KEYS[2] all deliveries   KEYS[3] the owner's deliveries   KEYS[4] sequence
-- ARGV[1] id   ARGV[2] record, JSON   ARGV[3] how many the owner keeps   ARGV[4] what keys of deliveries begin with
-- Result: 1
redis.call('SET', KEYS[1], ARGV[2])
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then
  local sequence = redis.call('INCR', KEYS[4])
  redis.call('ZADD', KEYS[2], sequence, ARGV[1])
  redis.call('ZADD', KEYS[3], sequence, ARGV[1])
end
while redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[3]) do
  local oldest = redis.call('ZPOPMIN', KEYS[3])[1]
  redis.call('ZREM', KEYS[2], oldest)
  redis.call('DEL', ARGV[4] .. oldest)
end
return 1
