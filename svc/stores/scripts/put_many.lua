-- Write entries unconditionally, in order.
-- KEYS: the entries. ARGV, three for each entry: head, tail (see entry_codec.py), TTL in ms ('' for
-- none).
-- Returns the server's time in ms, then for each entry 1 (created), 0 (replaced), or the error that
-- it is in a later format and was left alone.
local call, pcall, pack, keys, words = redis.call, redis.pcall, struct.pack, KEYS, ARGV
local out = {now}
for i = 1, #keys do
  local key, head, tail, ttl = keys[i], words[3 * i - 2], words[3 * i - 1], words[3 * i]
  -- An error: it is no string, and will be replaced.
  local format = pcall('GETRANGE', key, 0, 0)
  out[i + 1] = format == '' and 1 or 0
  if format ~= '\1' and type(format) == 'string' and (string.byte(format) or 0) > 1 then
    out[i + 1] = redis.error_reply('FORMAT ' .. string.byte(format))
  elseif ttl == '' then
    call('SET', key, head .. pack('>I8I8', now, 0) .. tail)
  else
    local expires = now + ttl
    call('SET', key, head .. pack('>I8I8', now, expires) .. tail,
      'PXAT', string.format('%.0f', expires))
  end
end
return out
