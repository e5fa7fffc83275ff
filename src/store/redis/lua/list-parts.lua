#!lua flags=no-writes
-- Lists parts in byte order of their names.
-- KEYS[1] names   KEYS[2] parts
-- ARGV[1] lower bound   ARGV[2] upper bound (ZRANGEBYLEX)   ARGV[3] limit   ARGV[4] 1: with bytes
-- Returns {name, bytes, name, bytes…}; without bytes they are empty
local result = {}
for _, name in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])) do
  result[#result + 1] = name
  result[#result + 1] = ARGV[4] == '1' and redis.call('HGET', KEYS[2], name) or ''
end
return result
