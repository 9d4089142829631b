-- Chooses the build that is to be claimed next: the oldest one of the project whose last turn is longest ago, of the
-- projects that may run one more.
-- KEYS[1] queued builds   KEYS[2] turns: when each project's last build was claimed
-- ARGV[1] what keys of builds begin with   ARGV[2] what keys of projects begin with   ARGV[3] builds of one project at once
-- Result: the build's id; false where there is none
local next, lowest
local seen = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local project = redis.call('HGET', ARGV[1] .. id, 'project')
  if project and not seen[project] then
    seen[project] = true
    local turn = tonumber(redis.call('ZSCORE', KEYS[2], project) or 0)
    local isFree = redis.call('SCARD', ARGV[2] .. project .. ':running') < tonumber(ARGV[3])
    if isFree and (not next or turn < lowest) then next, lowest = id, turn end
  end
end
return next or false
