#!lua flags=no-writes
-- Reads timers, the soonest first, for the shard's owner alone.
-- KEYS[1] own   KEYS[2] timers
-- ARGV[1] fence number   ARGV[2] nonce   ARGV[3] index of the last one wanted (limit - 1)
-- Returns {1, member, at, member, at…} | {0} fenced
local own = redis.call('HMGET', KEYS[1], 'fence', 'nonce')
if own[1] ~= ARGV[1] or own[2] ~= ARGV[2] then
  return {0}
end
local result = redis.call('ZRANGE', KEYS[2], 0, ARGV[3], 'WITHSCORES')
table.insert(result, 1, 1)
return result
