#!lua
-- Writes a node's record if it is its first, or if the node is still there; answers all records.
-- KEYS[1] nodes
-- ARGV[1] node id   ARGV[2] record   ARGV[3] "1" for a node's first heartbeat
-- Returns {record…}: without its own record the node was expelled
if ARGV[3] == '1' or redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return redis.call('HVALS', KEYS[1])
