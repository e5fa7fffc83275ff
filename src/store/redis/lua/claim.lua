#!lua
-- Makes the claimer the shard's owner if the record is the one that it has seen.
-- KEYS[1] own   KEYS[2] once   KEYS[3..] parts and names of the actors in `once`, in pairs
-- ARGV[1] seen fence number ("" none)   ARGV[2] seen nonce   ARGV[3] nonce   ARGV[4] owner   ARGV[5] address
-- ARGV[6] lineage for a shard without a record
-- Returns {1, record…} claimed or repeated | {0, record…} lost (no record: {0})
--   | {-1} one-time parts without a record: call again with the keys of every actor in `once`
local function record()
  return redis.call('HMGET', KEYS[1], 'fence', 'nonce', 'owner', 'address', 'lineage', 'sequence', 'digest', 'receipt')
end
local own = record()
if own[1] then
  if own[2] == ARGV[3] then
    return {1, unpack(own)}
  end
  if own[1] ~= ARGV[1] or own[2] ~= ARGV[2] then
    return {0, unpack(own)}
  end
  local fence = string.format('%.0f', tonumber(own[1]) + 1)
  redis.call('HSET', KEYS[1], 'fence', fence, 'nonce', ARGV[3], 'owner', ARGV[4], 'address', ARGV[5])
  return {1, unpack(record())}
end
if ARGV[1] ~= '' then
  return {0}
end
if redis.call('SCARD', KEYS[2]) ~= (#KEYS - 2) / 2 then
  return {-1}
end
-- No record but parts: their history is lost, and what was handed out of them can't be known.
for i = 3, #KEYS, 2 do
  local names = redis.call('ZRANGEBYLEX', KEYS[i + 1], '[once/', '(once0')
  for _, name in ipairs(names) do
    redis.call('HDEL', KEYS[i], name)
    redis.call('ZREM', KEYS[i + 1], name)
  end
end
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[1], 'fence', '1', 'nonce', ARGV[3], 'owner', ARGV[4], 'address', ARGV[5],
  'lineage', ARGV[6], 'sequence', '0', 'digest', '')
return {1, unpack(record())}
