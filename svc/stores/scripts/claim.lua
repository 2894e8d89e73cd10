-- Bind an operation to the id of a new member of a collection. KEYS[1] operation record.
-- ARGV: 1 proposed id, 2 fingerprint, 3 record TTL in ms. Returns {outcome, id}. Outcome is
-- 'bound' (to the proposal), 'replayed' (it was bound before) or 'reused' (another payload).
local record = redis.call('GET', KEYS[1])
if record then
  if string.byte(record) > 1 then return redis.error_reply('FORMAT ' .. string.byte(record)) end
  if string.sub(record, 2, 17) ~= ARGV[2] then return {'reused', ''} end
  return {'replayed', string.sub(record, 18)}
end
redis.call('SET', KEYS[1], '\1' .. ARGV[2] .. ARGV[1], 'PX', ARGV[3])
return {'bound', ARGV[1]}
