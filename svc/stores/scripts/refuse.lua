-- Record that an operation was refused, unless it has a record already.
-- KEYS[1] operation record. ARGV: 1 outcome, 2 version, 3 fingerprint, 4 record TTL in ms.
-- Returns what put.lua returns.
local record = redis.call('GET', KEYS[1])
if record then
  if string.byte(record) > 1 then return redis.error_reply('FORMAT ' .. string.byte(record)) end
  if string.sub(record, 2, 17) ~= ARGV[3] then return {0, 'reused', '', -1, 0} end
  local outcome = cmsgpack.unpack(string.sub(record, 18))
  return {1, outcome[1], outcome[2], outcome[3], outcome[4]}
end
-- Nothing was changed. If a full store can't keep the record, a retry is evaluated again.
redis.pcall('SET', KEYS[1], '\1' .. ARGV[3] .. cmsgpack.pack({ARGV[1], ARGV[2], -1, 0}), 'PX', ARGV[4])
return {0, ARGV[1], ARGV[2], -1, 0}
