-- Write entries unconditionally, in order.
-- KEYS: the entries. ARGV, three for each entry: head, tail (see entry_codec.py), TTL in ms ('' for
-- none).
-- Returns the server's time in ms, then for each entry 1 (created), 0 (replaced), or the error that
-- it is in a later format and was left alone.
local out = {now}
for i, key in ipairs(KEYS) do
  local head, tail, ttl = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  -- An error: it is no string, and will be replaced.
  local start = redis.pcall('GETRANGE', key, 0, 0)
  local format = type(start) == 'string' and string.byte(start)
  out[i + 1] = start == '' and 1 or 0
  if format and format > 1 then
    out[i + 1] = redis.error_reply('FORMAT ' .. format)
  elseif ttl == '' then
    redis.call('SET', key, head .. struct.pack('>I8I8', now, 0) .. tail)
  else
    local expires = now + tonumber(ttl)
    redis.call('SET', key, head .. struct.pack('>I8I8', now, expires) .. tail,
      'PXAT', string.format('%.0f', expires))
  end
end
return out
