-- Read an operation record. KEYS[1] operation record. ARGV: 1 fingerprint.
-- Returns what put.lua returns, or nothing if there is no record.
local record = redis.call('GET', KEYS[1])
if not record then return false end
if string.byte(record) > 1 then return redis.error_reply('FORMAT ' .. string.byte(record)) end
if string.sub(record, 2, 17) ~= ARGV[1] then return {0, 'reused', '', -1, 0} end
local outcome = cmsgpack.unpack(string.sub(record, 18))
return {1, outcome[1], outcome[2], outcome[3], outcome[4]}
