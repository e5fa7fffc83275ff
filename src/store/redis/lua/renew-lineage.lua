#!lua
-- Gives a shard a new lineage and removes its parts under `once/`.
-- KEYS[1] own   KEYS[2] once   KEYS[3..] parts and names of the actors in `once`, in pairs
-- ARGV[1] fence number   ARGV[2] nonce   ARGV[3] new lineage   ARGV[4] fence number from now on
-- Returns {1} | {0} fenced | {-1} call again with the keys of every actor in `once`
local own = redis.call('HMGET', KEYS[1], 'fence', 'nonce')
if own[1] ~= ARGV[1] or own[2] ~= ARGV[2] then
  return {0}
end
if redis.call('SCARD', KEYS[2]) ~= (#KEYS - 2) / 2 then
  return {-1}
end
for i = 3, #KEYS, 2 do
  local names = redis.call('ZRANGEBYLEX', KEYS[i + 1], '[once/', '(once0')
  for _, name in ipairs(names) do
    redis.call('HDEL', KEYS[i], name)
    redis.call('ZREM', KEYS[i + 1], name)
  end
end
redis.call('UNLINK', KEYS[2])
redis.call('HSET', KEYS[1], 'lineage', ARGV[3], 'fence', ARGV[4])
return {1}
