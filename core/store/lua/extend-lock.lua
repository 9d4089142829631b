-- Prolongs or frees a lock that somebody holds.
-- KEYS[1] lock
-- ARGV[1] its holder   ARGV[2] milliseconds from now; 0 frees it
-- Result: 1; 0 where another holds it, or nobody
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
