-- Creates, changes or removes an object of the embedded cluster; every change takes the next version.
-- KEYS[1] slip:cluster:objects (hash: "VERSION JSON"), KEYS[2] slip:cluster:version, KEYS[3] slip:cluster:history (stream)
-- ARGV[1] created, updated or deleted; ARGV[2] the object's key; ARGV[3] its JSON; ARGV[4] the version it has to have,
--         '' for a new object; ARGV[5] how many changes the history keeps
-- Result: the new version, or -1 it exists already, -2 it does not exist, -3 it has another version
local current = redis.call('HGET', KEYS[1], ARGV[2])
if ARGV[1] == 'created' then
  if current then return -1 end
else
  if not current then return -2 end
  if string.match(current, '^%d+') ~= ARGV[4] then return -3 end
end
local version = redis.call('INCR', KEYS[2])
if ARGV[1] == 'deleted' then
  redis.call('HDEL', KEYS[1], ARGV[2])
else
  redis.call('HSET', KEYS[1], ARGV[2], version .. ' ' .. ARGV[3])
end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], version .. '-0', 'kind', ARGV[1], 'key', ARGV[2], 'json', ARGV[3])
return version
