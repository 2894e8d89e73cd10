-- Delete one entry, if its ETag satisfies If-Match and If-None-Match (RFC 9110 section 13).
-- KEYS[1] entry, KEYS[2] operation record (absent without an operation).
-- ARGV: 1 If-Match, 2 If-None-Match (as in put.lua), 3 fingerprint, 4 record TTL in ms.
-- Returns {replayed, outcome, version}; outcome is 'deleted', 'missing', 'refused' or 'reused'.
if KEYS[2] then
  local record = redis.call('GET', KEYS[2])
  if record then
    if string.byte(record) > 1 then return redis.error_reply('FORMAT ' .. string.byte(record)) end
    if string.sub(record, 2, 17) ~= ARGV[3] then return {0, 'reused', ''} end
    local outcome = cmsgpack.unpack(string.sub(record, 18))
    return {1, outcome[1], outcome[2]}
  end
end

local function listed(versions, version)
  for at = 2, #versions, 16 do
    if string.sub(versions, at, at + 15) == version then return true end
  end
  return false
end

local start = redis.call('GETRANGE', KEYS[1], 0, 33)
local format, current = string.byte(start), string.sub(start, 19)
if format and format > 1 then return redis.error_reply('FORMAT ' .. format) end
local outcome = 'deleted'
if redis.call('EXISTS', KEYS[1]) == 0 then outcome = 'missing'
elseif ARGV[1] ~= '-' and ARGV[1] ~= '*' and not listed(ARGV[1], current) then outcome = 'refused'
elseif ARGV[2] == '*' or (ARGV[2] ~= '-' and listed(ARGV[2], current)) then outcome = 'refused'
else redis.call('UNLINK', KEYS[1]) end

if KEYS[2] then
  -- In a full store, writing the record can fail after a refusal, but not after a deletion.
  redis.pcall('SET', KEYS[2], '\1' .. ARGV[3] .. cmsgpack.pack({outcome, current}), 'PX', ARGV[4])
end
return {0, outcome, current}
