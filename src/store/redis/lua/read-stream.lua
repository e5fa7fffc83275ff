#!lua flags=no-writes
-- Reads stream entries above an offset, bounded by count and bytes, with the head and the lineage.
-- KEYS[1] own   KEYS[2] actor   KEYS[3] stream
-- ARGV[1] after   ARGV[2] limit   ARGV[3] bytes at most (the first entry always comes)
-- Returns {lineage or false, first or false, last or false, last at its purge or false, offset, time, type, body, …}
local PAGE = 32
local head = redis.call('HMGET', KEYS[2], 'f', 'l', 'x')
local result = {redis.call('HGET', KEYS[1], 'lineage'), head[1], head[2], head[3]}
local from, wanted, room = '(' .. ARGV[1] .. '-0', tonumber(ARGV[2]), tonumber(ARGV[3])
local first = true
while wanted > 0 do
  local page = redis.call('XRANGE', KEYS[3], from, '+', 'COUNT', math.min(PAGE, wanted))
  for _, entry in ipairs(page) do
    local fields = entry[2]
    if not first and #fields[6] > room then
      return result
    end
    first = false
    room = room - #fields[6]
    result[#result + 1] = string.match(entry[1], '^(%d+)')
    result[#result + 1] = fields[2]
    result[#result + 1] = fields[4]
    result[#result + 1] = fields[6]
    from = '(' .. entry[1]
  end
  if #page < PAGE then
    return result
  end
  wanted = wanted - #page
end
return result
