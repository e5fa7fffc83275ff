#!lua flags=no-writes
-- Reads outbox entries in order of id, for the shard's owner alone.
-- KEYS[1] own   KEYS[2] outbox ids   KEYS[3] outbox
-- ARGV[1] fence number   ARGV[2] nonce   ARGV[3] sequence   ARGV[4] lower bound (ZRANGEBYLEX)   ARGV[5] limit
-- Returns {1, id, bytes, id, bytes…} | {0} fenced, or fewer batches than ARGV[3]
local own = redis.call('HMGET', KEYS[1], 'fence', 'nonce', 'sequence')
if own[1] ~= ARGV[1] or own[2] ~= ARGV[2] or tonumber(own[3]) < tonumber(ARGV[3]) then
  return {0}
end
local result = {1}
for _, id in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], ARGV[4], '+', 'LIMIT', 0, ARGV[5])) do
  result[#result + 1] = id
  result[#result + 1] = redis.call('HGET', KEYS[3], id)
end
return result
