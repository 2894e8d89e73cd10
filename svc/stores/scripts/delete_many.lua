-- Delete entries or counters. KEYS: their names. ARGV[1]: the highest first byte that may be deleted:
-- 1 of entries, so that those in a later format are left alone, as delete.lua does; else 255.
-- Returns how many there were.
local deleted = 0
for _, key in ipairs(KEYS) do
  -- An error: it is no string, and is left alone.
  local first = redis.pcall('GETRANGE', key, 0, 0)
  if type(first) == 'string' and (string.byte(first) or 0) <= ARGV[1] + 0 then
    deleted = deleted + redis.call('UNLINK', key)
  end
end
return deleted
