-- Appends events to a build and stores the record they fold into.
-- KEYS, ARGV 1 to 9: see commit.lua
-- ARGV[10] guard: 'claim' (the fencing token in ARGV[11] holds the build), 'expired' (its lease ended before the
--          Unix milliseconds in ARGV[11]), 'none'
-- ARGV[12…] events, JSON
-- Result: 'ok'; 'missing': no such build; 'lost': the guard said no; 'stale': the version is another one
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 'missing' end
if isDone() then return 'ok' end
if ARGV[10] == 'claim' and redis.call('HGET', KEYS[1], 'claim') ~= ARGV[11] then return 'lost' end
if ARGV[10] == 'expired' then
  local leaseUntil = redis.call('HGET', KEYS[1], 'leaseUntil')
  if not leaseUntil or tonumber(leaseUntil) > tonumber(ARGV[11]) then return 'lost' end
end
if version ~= ARGV[2] then return 'stale' end
if ARGV[10] == 'expired' then redis.call('HINCRBY', KEYS[1], 'losses', 1) end
commit(12)
return 'ok'
