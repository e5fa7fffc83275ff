#!lua
-- Applies one batch to one shard, or refuses it whole. Everything is validated before the first write.
-- KEYS[1] own   KEYS[2..] every other key that the batch touches (one hash tag: one slot)
-- ARGV[1] fence number   ARGV[2] nonce   ARGV[3] sequence   ARGV[4] digest   ARGV[5] words   ARGV[6..] bytes
-- Words: the operations, flat, as one msgpack array, which costs both sides less than an argument for each:
--   a code, then its arguments; keys by their index in KEYS (actor hash a, parts p, names n, stream x, mark m,
--   outbox ids q, outbox b, timers t, once u), bytes by theirs in ARGV
--   S a bytes | P p n name bytes | U u actor (has parts under once/; behind all operations)
--   D p n name | T p n name (take) | K p n name (take and keep)
--   A a x offset time type bytes | R a x before
--   X a p n x | M m expiresAt value count {p name} | m m
--   O q b id bytes | o q b id | I t actor name at | i t actor name
-- Returns {1, repeated, receipt} | {-1} fenced | {-2, last} gap | {-3, operation index, reason} invalid
local own = redis.call('HMGET', KEYS[1], 'fence', 'nonce', 'sequence', 'digest', 'receipt')
if not own[1] then
  return {-1}
end
local holds = own[1] == ARGV[1] and own[2] == ARGV[2] --sabotage:fence
if not holds then
  return {-1}
end
local next_one = tonumber(ARGV[3]) == tonumber(own[3]) + 1 --sabotage:sequence
if not next_one then
  if own[3] == ARGV[3] and own[4] == ARGV[4] then
    return {1, 1, own[5]}
  end
  return {-2, own[3]}
end

local words = cmsgpack.unpack(ARGV[5])
local WIDTH = {
  S = 3, P = 5, U = 3, D = 4, T = 4, K = 4, A = 7, R = 4, X = 5, M = 5, m = 2, O = 5, o = 4, I = 5, i = 4
}
local function key(index)
  return KEYS[index]
end
local function width(at)
  local code = words[at]
  return code == 'M' and WIDTH.M + 2 * words[at + 4] or WIDTH[code]
end
local function exact(number)
  return string.format('%.0f', number)
end

-- What the batch itself changed so far, on top of what is stored. Parts are named by key index and name.
local present, taken_names, purged, last_of = {}, {}, {}, {}
local function last_offset(a)
  if not last_of[a] then
    last_of[a] = tonumber(redis.call('HGET', key(a), 'l') or 0)
  end
  return last_of[a]
end
local at, count = 1, 0
while at <= #words do
  local code = words[at]
  if code == 'P' then
    present[words[at + 1] .. '/' .. words[at + 3]] = 1
  elseif code == 'D' then
    present[words[at + 1] .. '/' .. words[at + 3]] = 0
  elseif code == 'T' or code == 'K' then
    local p, name = words[at + 1], words[at + 3]
    local there = present[p .. '/' .. name]
    if not there then
      there = purged[p] and 0 or redis.call('HEXISTS', key(p), name)
    end
    if there == 0 then
      return {-3, count, 'no such part'}
    end
    present[p .. '/' .. name] = code == 'K' and 1 or 0
    taken_names[p .. '/' .. name] = true
  elseif code == 'A' then
    local a = words[at + 1]
    local expected = last_offset(a) + 1
    if words[at + 3] ~= expected then
      return {-3, count, 'the next offset is ' .. exact(expected)}
    end
    last_of[a] = expected
  elseif code == 'X' then
    local p = words[at + 2]
    purged[p] = true
    for id in pairs(present) do
      if string.sub(id, 1, #p + 1) == p .. '/' then
        present[id] = 0
      end
    end
  elseif code == 'M' then
    for i = 1, words[at + 4] do
      if not taken_names[words[at + 3 + 2 * i] .. '/' .. words[at + 4 + 2 * i]] then
        return {-3, count, 'names a part that was not taken'}
      end
    end
  end
  at = at + width(at)
  count = count + 1
end

local taken, bytes_of = {}, {}
local function chunk(bytes)
  return struct.pack('>I4', #bytes) .. bytes
end
local apply = {}
function apply.S(i)
  redis.call('HSET', key(words[i + 1]), 's', ARGV[words[i + 2]])
end
function apply.P(i)
  redis.call('HSET', key(words[i + 1]), words[i + 3], ARGV[words[i + 4]])
  redis.call('ZADD', key(words[i + 2]), 0, words[i + 3])
end
function apply.U(i)
  redis.call('SADD', key(words[i + 1]), words[i + 2])
end
function apply.D(i)
  redis.call('HDEL', key(words[i + 1]), words[i + 3])
  redis.call('ZREM', key(words[i + 2]), words[i + 3])
end
function apply.K(i)
  local packed = chunk(redis.call('HGET', key(words[i + 1]), words[i + 3]))
  taken[#taken + 1] = packed
  bytes_of[words[i + 1] .. '/' .. words[i + 3]] = packed
end
function apply.T(i)
  apply.K(i)
  apply.D(i)
end
function apply.A(i)
  local id = exact(words[i + 3]) .. '-0'
  redis.call('XADD', key(words[i + 2]), id, 't', words[i + 4], 'y', words[i + 5], 'b', ARGV[words[i + 6]])
  redis.call('HSET', key(words[i + 1]), 'l', words[i + 3])
end
-- The head outlives the entries: offsets go on where they were.
local function trim(a, x, before)
  local head = redis.call('HMGET', key(a), 'f', 'l')
  local first, last = tonumber(head[1] or 1), tonumber(head[2] or 0)
  local kept = math.min(before, last + 1)
  if kept <= first then
    return
  end
  if kept > last then
    redis.call('UNLINK', key(x))
  else
    redis.call('XTRIM', key(x), 'MINID', exact(kept) .. '-0')
  end
  redis.call('HSET', key(a), 'f', exact(kept))
end
function apply.R(i)
  trim(words[i + 1], words[i + 2], words[i + 3])
end
function apply.X(i)
  redis.call('UNLINK', key(words[i + 2]), key(words[i + 3]))
  trim(words[i + 1], words[i + 4], math.huge)
  redis.call('HSET', key(words[i + 1]), 'x', redis.call('HGET', key(words[i + 1]), 'l') or '0')
end
function apply.M(i)
  local value = {ARGV[words[i + 3]]}
  for j = 1, words[i + 4] do
    value[#value + 1] = bytes_of[words[i + 3 + 2 * j] .. '/' .. words[i + 4 + 2 * j]]
  end
  redis.call('SET', key(words[i + 1]), table.concat(value), 'PXAT', words[i + 2])
end
function apply.m(i)
  redis.call('UNLINK', key(words[i + 1]))
end
function apply.O(i)
  redis.call('HSET', key(words[i + 2]), words[i + 3], ARGV[words[i + 4]])
  redis.call('ZADD', key(words[i + 1]), 0, words[i + 3])
end
function apply.o(i)
  redis.call('HDEL', key(words[i + 2]), words[i + 3])
  redis.call('ZREM', key(words[i + 1]), words[i + 3])
end
function apply.I(i)
  redis.call('ZADD', key(words[i + 1]), words[i + 4], words[i + 2] .. '\0' .. words[i + 3])
end
function apply.i(i)
  redis.call('ZREM', key(words[i + 1]), words[i + 2] .. '\0' .. words[i + 3])
end

at = 1
while at <= #words do
  local here = at
  at = at + width(at)
  apply[words[here]](here)
end
local receipt = table.concat(taken)
local remembered = receipt --sabotage:receipt
redis.call('HSET', KEYS[1], 'sequence', ARGV[3], 'digest', ARGV[4], 'receipt', remembered)
return {1, 0, receipt}
