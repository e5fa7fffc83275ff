#!lua flags=no-writes
-- Reads a tag's live entries in order of client id.
-- KEYS[1] entries   KEYS[2] live clients
-- ARGV[1] lower bound (ZRANGEBYLEX)   ARGV[2] limit
-- Returns {client id, "version tags as JSON", …}
local result = {}
for _, client in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], '+', 'LIMIT', 0, ARGV[2])) do
  result[#result + 1] = client
  result[#result + 1] = redis.call('HGET', KEYS[1], client)
end
return result
