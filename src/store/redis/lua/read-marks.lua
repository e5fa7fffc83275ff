#!lua flags=no-writes
-- Reads marks for the shard's owner alone.
-- KEYS[1] own   KEYS[2..] marks
-- ARGV[1] fence number   ARGV[2] nonce
-- Returns {1, mark or false…} | {0} fenced
local own = redis.call('HMGET', KEYS[1], 'fence', 'nonce')
if own[1] ~= ARGV[1] or own[2] ~= ARGV[2] then
  return {0}
end
local result = {1}
for i = 2, #KEYS do
  result[i] = redis.call('GET', KEYS[i])
end
return result
