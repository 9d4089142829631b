-- Replaces the record of a hash if nobody else did meanwhile.
-- KEYS[1] hash with a field `record`
-- ARGV[1] record as it was read   ARGV[2] new record   ARGV[3…] further fields and values; the value '' removes a field
-- Result: 1; 0 where the record is another one or gone
if redis.call('HGET', KEYS[1], 'record') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'record', ARGV[2])
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i])
  else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return 1
