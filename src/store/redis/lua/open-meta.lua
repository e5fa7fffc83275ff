#!lua
-- Reads what the store says about itself; writes it when there is nothing yet.
-- KEYS[1] meta
-- ARGV[1] format   ARGV[2] shard count   ARGV[3] deployment id for a new store   ARGV[4] deployment ("" unnamed)
-- Returns {created (0 or 1), format, shard count, deployment id, deployment}
local created = redis.call('HSETNX', KEYS[1], 'format', ARGV[1])
if created == 1 then
  redis.call('HSET', KEYS[1], 'shardCount', ARGV[2], 'deploymentId', ARGV[3], 'deployment', ARGV[4])
elseif ARGV[4] ~= '' and redis.call('HGET', KEYS[1], 'deployment') == '' then
  redis.call('HSET', KEYS[1], 'deployment', ARGV[4])
end
return {created, unpack(redis.call('HMGET', KEYS[1], 'format', 'shardCount', 'deploymentId', 'deployment'))}
