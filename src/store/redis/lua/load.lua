#!lua flags=no-writes
-- Reads what activating an actor needs, for the shard's owner alone.
-- KEYS[1] own   KEYS[2] actor   KEYS[3] names
-- ARGV[1] fence number   ARGV[2] nonce   ARGV[3] sequence   ARGV[4..] lower and upper bound (ZRANGEBYLEX) of each prefix
-- Returns {1, snapshot or false, {names}…} | {0} fenced, or fewer batches than ARGV[3]
local own = redis.call('HMGET', KEYS[1], 'fence', 'nonce', 'sequence')
if own[1] ~= ARGV[1] or own[2] ~= ARGV[2] or tonumber(own[3]) < tonumber(ARGV[3]) then
  return {0}
end
local result = {1, redis.call('HGET', KEYS[2], 's')}
for i = 4, #ARGV, 2 do
  result[#result + 1] = redis.call('ZRANGEBYLEX', KEYS[3], ARGV[i], ARGV[i + 1])
end
return result
