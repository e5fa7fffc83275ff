#!lua
-- Writes a client's entry or tombstone under one tag unless a newer version is there.
-- KEYS[1] entries   KEYS[2] live clients   KEYS[3] tombstones by the time at which they may go
-- ARGV[1] client id   ARGV[2] version   ARGV[3] tags as JSON, or "" for a tombstone   ARGV[4] tombstone kept ms
-- Returns nothing
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and tonumber(string.match(stored, '^(%d+)')) > tonumber(ARGV[2]) then
  return
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(ARGV[4])), ARGV[1])
else
  redis.call('ZADD', KEYS[2], 0, ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
end
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now), 'LIMIT', 0, 16)
for _, client in ipairs(due) do
  redis.call('HDEL', KEYS[1], client)
  redis.call('ZREM', KEYS[3], client)
end
