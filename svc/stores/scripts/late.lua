-- The beginning of every script that changes data. The last of ARGV is the time in ms, by this
-- server's clock, at which its caller has an answer, whatever became of the script. From then on it
-- must not change anything: a newer change may have been acknowledged.
local time = redis.call('TIME')
local now = time[1] * 1000 + (time[2] - time[2] % 1000) / 1000
if now >= ARGV[#ARGV] + 0 then return redis.error_reply('LATE it came after its deadline') end
