-- Write one entry, if its ETag satisfies If-Match and If-None-Match (RFC 9110 section 13).
-- KEYS[1] entry, KEYS[2] operation record (absent without an operation).
-- ARGV: 1 head, 2 tail (see entry_codec.py), 3 TTL in ms ('' none, 'keep' unchanged),
--       4 default TTL in ms ('' none), 5 If-Match, 6 If-None-Match: '-' not sent, '*', or '=' and
--       the versions behind the ETags, 16 bytes each, 7 fingerprint, 8 record TTL in ms,
--       9 '1' to record a refusal too.
-- Returns {replayed, outcome, version, TTL in ms (-1 none), time of writing in ms}. Outcome is
-- 'created', 'replaced', 'refused' (version: the current one, '' without an entry) or 'reused'
-- (another payload under the same idempotency key). A replay's outcome may also be 'missing' or
-- 'not_json', which refuse.lua recorded.
if KEYS[2] then
  local record = redis.call('GET', KEYS[2])
  if record then
    if string.byte(record) > 1 then return redis.error_reply('FORMAT ' .. string.byte(record)) end
    if string.sub(record, 2, 17) ~= ARGV[7] then return {0, 'reused', '', -1, now} end
    local outcome = cmsgpack.unpack(string.sub(record, 18))
    return {1, outcome[1], outcome[2], outcome[3], outcome[4]}
  end
end

local function remember(outcome, version, ttl)
  if not KEYS[2] then return end
  local record = '\1' .. ARGV[7] .. cmsgpack.pack({outcome, version, ttl, now})
  if outcome == 'refused' then
    -- Nothing was changed. If a full store can't keep the record, a retry is evaluated again.
    if ARGV[9] == '1' then redis.pcall('SET', KEYS[2], record, 'PX', ARGV[8]) end
  else
    redis.call('SET', KEYS[2], record, 'PX', ARGV[8])
  end
end

local function listed(versions, version)
  for at = 2, #versions, 16 do
    if string.sub(versions, at, at + 15) == version then return true end
  end
  return false
end

-- Compare the entry's version, which is its ETag, with the precondition.
local start = redis.call('GETRANGE', KEYS[1], 0, 33)
local format, current = string.byte(start), string.sub(start, 19)
if format and format > 1 then return redis.error_reply('FORMAT ' .. format) end
local exists = start ~= '' or redis.call('EXISTS', KEYS[1]) == 1
local match, none_match = ARGV[5], ARGV[6]
local refused = false
if match == '*' then refused = not exists
elseif match ~= '-' then refused = not (exists and listed(match, current)) end
if not refused then
  if none_match == '*' then refused = exists
  elseif none_match ~= '-' then refused = exists and listed(none_match, current) end
end
if refused then
  remember('refused', current, -1)
  return {0, 'refused', current, -1, now}
end

local ttl = ARGV[3]
if ttl == 'keep' then
  ttl = ARGV[4]
  if exists then
    local left = redis.call('PTTL', KEYS[1])
    ttl = left >= 0 and string.format('%.0f', math.max(left, 1)) or ''
  end
end
local left = -1
if ttl == '' then
  redis.call('SET', KEYS[1], ARGV[1] .. struct.pack('>I8I8', now, 0) .. ARGV[2])
else
  left = tonumber(ttl)
  redis.call('SET', KEYS[1], ARGV[1] .. struct.pack('>I8I8', now, now + left) .. ARGV[2],
    'PXAT', string.format('%.0f', now + left))
end
local outcome = exists and 'replaced' or 'created'
local version = string.sub(ARGV[2], 1, 16)
remember(outcome, version, left)
return {0, outcome, version, left, now}
