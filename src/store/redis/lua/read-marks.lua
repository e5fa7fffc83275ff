#!lua flags=no-writes
-- Reads marks for the shard's owner alone.
-- KEYS[1] own   KEYS[2..] marks
-- ARGV[1] fence number   ARGV[2] nonce   ARGV[3] sequence
-- Returns {1, mark or false…} | {0} fenced, or fewer batches than ARGV[3]
local own = redis.call('HMGET', KEYS[1], 'fence', 'nonce', 'sequence')
if own[1] ~= ARGV[1] or own[2] ~= ARGV[2] or tonumber(own[3]) < tonumber(ARGV[3]) then
  return {0}
end
local result = {1}
for i = 2, #KEYS do
  result[i] = redis.call('GET', KEYS[i])
end
return result
