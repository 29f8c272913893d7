import { createHash } from "node:crypto";

/** A Lua script that the server runs as one atomic step, and the name that it knows it by. */
export interface RedisScript {
  readonly source: string;
  readonly sha1: string;
}

/**
 * What all writing scripts begin with. A bucket has three keys: a hash of values, each behind its revision and a colon; a
 * sorted set of its keys, all with score 0, so that Redis keeps them in the order of their bytes; the last revision.
 * Revisions are microseconds, so that those of a server that lost its data do not come again.
 */
const writing = `
local values, order, last = KEYS[1], KEYS[2], KEYS[3]
local function put(key, value)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local revision = math.max(now, tonumber(redis.call('GET', last) or '0') + 1)
  local text = string.format('%.0f', revision)
  redis.call('SET', last, text)
  redis.call('HSET', values, key, text .. ':' .. value)
  redis.call('ZADD', order, 0, key)
  return text
end
`;

/** Keys and values in turn → how many. */
export const setScript = script(`${writing}
for index = 1, #ARGV, 2 do put(ARGV[index], ARGV[index + 1]) end
return #ARGV / 2
`);

/** Key, value, expected revision or "" → `[1, revision]`, or `[0, what is there]`. */
export const swapScript = script(`${writing}
local held = redis.call('HGET', values, ARGV[1])
local revision = ''
if held then revision = string.sub(held, 1, string.find(held, ':', 1, true) - 1) end
if revision ~= ARGV[3] then return {0, held} end
return {1, put(ARGV[1], ARGV[2])}
`);

/**
 * Key, what to add → `["sum", sum]`, or what is wrong: `text` is no integer, `range` is left. Lua's numbers are doubles,
 * as those of JavaScript: a sum beyond ±(2^53 - 1) is never rounded back into that range.
 */
export const incrementScript = script(`${writing}
local held = redis.call('HGET', values, ARGV[1])
local text = '0'
if held then text = string.sub(held, string.find(held, ':', 1, true) + 1) end
local digits = string.match(text, '^%-?([1-9]%d*)$') or string.match(text, '^%-?(0)$')
if not digits or #digits > 16 then return {'text'} end
local sum = tonumber(text) + tonumber(ARGV[2])
if sum > 9007199254740991 or sum < -9007199254740991 then return {'range'} end
local decimal = string.format('%.0f', sum)
if decimal == '-0' then decimal = '0' end
put(ARGV[1], decimal)
return {'sum', decimal}
`);

/** Keys → how many of them there were. */
export const deleteScript = script(`
local deleted = 0
for _, key in ipairs(ARGV) do
  deleted = deleted + redis.call('HDEL', KEYS[1], key)
  redis.call('ZREM', KEYS[2], key)
end
return deleted
`);

/** The most bytes, then keys → what is there for each, or false where that would be more. */
export const getManyScript = script(`
local bytes, keys = 0, {}
for index = 2, #ARGV do
  keys[index - 1] = ARGV[index]
  bytes = bytes + redis.call('HSTRLEN', KEYS[1], ARGV[index])
  if bytes > tonumber(ARGV[1]) then return false end
end
if #keys == 0 then return {} end
return redis.call('HMGET', KEYS[1], unpack(keys))
`);

function script(source: string): RedisScript {
  return { source, sha1: createHash("sha1").update(source).digest("hex") };
}
