-- Add to one counter, with bounds, a TTL or an operation record.
-- KEYS[1] counter, KEYS[2] operation record (absent without an operation).
-- ARGV: 1 by, 2 minimum, 3 maximum ('' for none), 4 '1' to clamp, 5 TTL in ms ('' for none),
--       6 '1' to renew the TTL at each increment, 7 fingerprint, 8 record TTL in ms, 9 If-Match,
--       10 If-None-Match: '-' not sent, '*', or the values behind the ETags, as ',1,2,'.
-- Returns {replayed, outcome, before, after}. Outcome is 'ok', 'overflow', 'bound', 'refused' by a
-- condition (the values: the current one, '' without a counter) or 'reused' (another payload under
-- the same idempotency key). The values are text, and compared as text,
-- because Lua's numbers lose precision above 2^53.
if KEYS[2] then
  local record = redis.call('GET', KEYS[2])
  if record then
    if string.byte(record) > 1 then return redis.error_reply('FORMAT ' .. string.byte(record)) end
    if string.sub(record, 2, 17) ~= ARGV[7] then return {0, 'reused', '', ''} end
    local outcome = cmsgpack.unpack(string.sub(record, 18))
    return {1, outcome[1], outcome[2], outcome[3]}
  end
end

local function less(a, b)
  local a_negative, b_negative = string.sub(a, 1, 1) == '-', string.sub(b, 1, 1) == '-'
  if a_negative ~= b_negative then return a_negative end
  if a == b then return false end
  local smaller
  if #a ~= #b then smaller = #a < #b else smaller = a < b end
  if a_negative then return not smaller end
  return smaller
end

local by, minimum, maximum = ARGV[1], ARGV[2], ARGV[3]
local up = string.sub(by, 1, 1) ~= '-'
local bound = up and maximum or minimum
local held = redis.call('GET', KEYS[1])

local function satisfied(match, none_match)
  local function listed(values)
    return held and (values == '*' or string.find(values, ',' .. held .. ',', 1, true))
  end
  return (match == '-' or listed(match)) and (none_match == '-' or not listed(none_match))
end
if not satisfied(ARGV[9], ARGV[10]) then
  local current = held or ''
  if KEYS[2] then
    local record = '\1' .. ARGV[7] .. cmsgpack.pack({'refused', current, current})
    redis.pcall('SET', KEYS[2], record, 'PX', ARGV[8])
  end
  return {0, 'refused', current, current}
end

local before = held or '0'
local after, outcome = before, 'ok'

local sum = redis.pcall('INCRBY', KEYS[1], by)
local overflow = type(sum) == 'table'
if overflow and not string.find(sum.err, 'overflow', 1, true) then return sum end
if not overflow then after = redis.call('GET', KEYS[1]) end

local past = bound ~= '' and by ~= '0'
  and (overflow or (up and less(bound, after)) or (not up and less(after, bound)))
if past then
  local target = before
  if ARGV[4] == '1' then
    -- A counter that is already past its bound does not move: clamping never moves it backwards.
    if (up and less(before, bound)) or (not up and less(bound, before)) then target = bound end
  else
    outcome = 'bound'
  end
  if outcome == 'bound' and not held then redis.call('DEL', KEYS[1])
  else redis.call('SET', KEYS[1], target, 'KEEPTTL') end
  after = target
elseif overflow then
  outcome = 'overflow'
end

if outcome == 'ok' and ARGV[5] ~= '' and (not held or ARGV[6] == '1') then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
if KEYS[2] then
  local record = '\1' .. ARGV[7] .. cmsgpack.pack({outcome, before, after})
  if outcome == 'ok' then redis.call('SET', KEYS[2], record, 'PX', ARGV[8])
  else redis.pcall('SET', KEYS[2], record, 'PX', ARGV[8]) end
end
return {0, outcome, before, after}
