-- Delete a counter. KEYS[1] counter, KEYS[2] operation record (absent without an operation).
-- ARGV: 1 fingerprint, 2 record TTL in ms, 3 If-Match, 4 If-None-Match (as in add.lua).
-- Returns {replayed, outcome, current digits ('' for none)}; outcome is 'deleted', 'missing',
-- 'refused' or 'reused'.
if KEYS[2] then
  local record = redis.call('GET', KEYS[2])
  if record then
    if string.byte(record) > 1 then return redis.error_reply('FORMAT ' .. string.byte(record)) end
    if string.sub(record, 2, 17) ~= ARGV[1] then return {0, 'reused', ''} end
    local outcome = string.sub(record, 18)
    if string.sub(outcome, 1, 7) == 'refused' then return {1, 'refused', string.sub(outcome, 8)} end
    return {1, outcome, ''}
  end
end
local current = redis.call('GET', KEYS[1])

local function listed(values)
  return values == '*' or string.find(values, ',' .. current .. ',', 1, true)
end
local outcome = 'deleted'
if not current then outcome = 'missing'
elseif (ARGV[3] ~= '-' and not listed(ARGV[3])) or (ARGV[4] ~= '-' and listed(ARGV[4])) then
  outcome = 'refused'
else redis.call('UNLINK', KEYS[1]) end

if KEYS[2] then
  local record = outcome == 'refused' and outcome .. current or outcome
  redis.pcall('SET', KEYS[2], '\1' .. ARGV[1] .. record, 'PX', ARGV[2])
end
return {0, outcome, current or ''}
