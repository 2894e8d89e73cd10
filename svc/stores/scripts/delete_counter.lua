-- Delete a counter. KEYS[1] counter, KEYS[2] operation record (absent without an operation).
-- ARGV: 1 fingerprint, 2 record TTL in ms.
-- Returns {replayed, outcome}; outcome is 'deleted', 'missing' or 'reused'.
if KEYS[2] then
  local record = redis.call('GET', KEYS[2])
  if record then
    if string.sub(record, 2, 17) ~= ARGV[1] then return {0, 'reused'} end
    return {1, string.sub(record, 18)}
  end
end
local outcome = redis.call('UNLINK', KEYS[1]) == 1 and 'deleted' or 'missing'
if KEYS[2] then redis.pcall('SET', KEYS[2], '\1' .. ARGV[1] .. outcome, 'PX', ARGV[2]) end
return {0, outcome}
