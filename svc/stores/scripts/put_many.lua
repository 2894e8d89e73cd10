-- Write entries unconditionally, in order.
-- KEYS: the entries. ARGV, three for each entry: head, tail (see entry_codec.py), TTL in ms ('' for
-- none).
-- Returns the server's time in ms, then 1 (created) or 0 (replaced) for each entry.
local out = {now}
for i, key in ipairs(KEYS) do
  local head, tail, ttl = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  out[i + 1] = 1 - redis.call('EXISTS', key)
  if ttl == '' then
    redis.call('SET', key, head .. struct.pack('>I8I8', now, 0) .. tail)
  else
    local expires = now + tonumber(ttl)
    redis.call('SET', key, head .. struct.pack('>I8I8', now, expires) .. tail,
      'PXAT', string.format('%.0f', expires))
  end
end
return out
