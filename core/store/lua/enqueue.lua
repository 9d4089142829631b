-- Queues a build once, and numbers it within its project.
-- KEYS[1] build hash     KEYS[4] all builds              KEYS[7] sequence
-- KEYS[2] event stream   KEYS[5] the project's builds
-- KEYS[3] project hash   KEYS[6] queued builds
-- ARGV[1] build id; ARGV[2] record, JSON, without its number and its opening brace; ARGV[3] `queued` event, JSON, up to
-- its order; ARGV[4] order, JSON, without its number and its opening brace; ARGV[5] channel; ARGV[6] message;
-- ARGV[7] project
-- Result: {1, record}; {0, record} where the build existed; {-1} where the project does not
local existing = redis.call('HGET', KEYS[1], 'record')
if existing then return {0, existing} end
if redis.call('EXISTS', KEYS[3]) == 0 then return {-1} end
-- The number goes in as text: a decode and encode in Lua would turn empty arrays into objects.
local number = '{"number":' .. redis.call('HINCRBY', KEYS[3], 'builds', 1) .. ','
local record = number .. ARGV[2]
local sequence = redis.call('INCR', KEYS[7])
redis.call('HSET', KEYS[1], 'record', record, 'status', 'queued', 'version', 1, 'sequence', sequence, 'project', ARGV[7])
redis.call('XADD', KEYS[2], '*', 'e', ARGV[3] .. number .. ARGV[4] .. '}')
redis.call('ZADD', KEYS[4], sequence, ARGV[1])
redis.call('ZADD', KEYS[5], sequence, ARGV[1])
redis.call('ZADD', KEYS[6], sequence, ARGV[1])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return {1, record}
