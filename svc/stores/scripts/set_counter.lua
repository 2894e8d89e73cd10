-- Set a counter. KEYS[1] counter, KEYS[2] operation record (absent without an operation).
-- ARGV: 1 value, 2 TTL in ms ('' for none), 3 fingerprint, 4 record TTL in ms, 5 If-Match,
--       6 If-None-Match (as in add.lua).
-- Returns {replayed, outcome, previous digits ('' for none)}; outcome is 'ok', 'refused' or 'reused'.
if KEYS[2] then
  local record = redis.call('GET', KEYS[2])
  if record then
    if string.byte(record) > 1 then return redis.error_reply('FORMAT ' .. string.byte(record)) end
    if string.sub(record, 2, 17) ~= ARGV[3] then return {0, 'reused', ''} end
    if string.sub(record, 18, 18) == '!' then return {1, 'refused', string.sub(record, 19)} end
    return {1, 'ok', string.sub(record, 18)}
  end
end
local previous = redis.call('GET', KEYS[1]) or ''
-- The same integers as INCRBY's: canonical, and of 64 bits. Compared as text: see add.lua.
local digits = string.match(previous, '^-?([1-9]%d*)$')
local largest = string.sub(previous, 1, 1) == '-' and '9223372036854775808' or '9223372036854775807'
local fits = digits and (#digits < 19 or (#digits == 19 and digits <= largest))
if previous ~= '' and previous ~= '0' and not fits then
  return redis.error_reply('ERR value is not an integer')
end

local function listed(values)
  return previous ~= ''
    and (values == '*' or string.find(values, ',' .. previous .. ',', 1, true))
end
if (ARGV[5] ~= '-' and not listed(ARGV[5])) or (ARGV[6] ~= '-' and listed(ARGV[6])) then
  if KEYS[2] then redis.pcall('SET', KEYS[2], '\1' .. ARGV[3] .. '!' .. previous, 'PX', ARGV[4]) end
  return {0, 'refused', previous}
end

if ARGV[2] == '' then redis.call('SET', KEYS[1], ARGV[1])
else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
if KEYS[2] then redis.call('SET', KEYS[2], '\1' .. ARGV[3] .. previous, 'PX', ARGV[4]) end
return {0, 'ok', previous}
