#!lua flags=no-writes
-- Reads timers, the soonest first, for the shard's owner alone.
-- KEYS[1] own   KEYS[2] timers
-- ARGV[1] fence number   ARGV[2] nonce   ARGV[3] sequence   ARGV[4] index of the last one wanted (limit - 1)
-- Returns {1, member, at, member, at…} | {0} fenced, or fewer batches than ARGV[3]
local own = redis.call('HMGET', KEYS[1], 'fence', 'nonce', 'sequence')
if own[1] ~= ARGV[1] or own[2] ~= ARGV[2] or tonumber(own[3]) < tonumber(ARGV[3]) then
  return {0}
end
local result = redis.call('ZRANGE', KEYS[2], 0, ARGV[4], 'WITHSCORES')
table.insert(result, 1, 1)
return result
