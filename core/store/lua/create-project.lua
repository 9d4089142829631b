-- Creates a project.
-- KEYS[1] project hash   KEYS[2] names of all projects
-- ARGV[1] name   ARGV[2] record, JSON   ARGV[3…] further fields and values of the hash
-- Result: 1; 0 where it exists
if redis.call('HSETNX', KEYS[1], 'record', ARGV[2]) == 0 then return 0 end
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('SADD', KEYS[2], ARGV[1])
return 1
