-- Take permits from limits, by the generic cell rate algorithm. KEYS: each limit's record, the time
-- in us at which all its permits are back. ARGV for each: us for one permit, the permits of a full
-- limit, those that were used already, those that are wanted now.
-- Returns for each: 1 or 0 for the wanted ones, the permits left, and the us until there are enough.
-- What was used already is always taken, so that a caller that was generous pays later.
local us = time[1] * 1000000 + time[2]
local out = {}
for i = 1, #KEYS do
  local at = i * 4 - 4
  local each, full = ARGV[at + 1] + 0, ARGV[at + 2] + 0
  local used, wanted = ARGV[at + 3] + 0, ARGV[at + 4] + 0
  local back = math.max(redis.call('GET', KEYS[i]) or 0, us) + used * each
  local early = back + math.min(wanted, full) * each - full * each - us
  local allowed = early <= 0
  if allowed then back = back + wanted * each end
  if used > 0 or (allowed and wanted > 0) then
    redis.call('SET', KEYS[i], string.format('%.17g', back), 'PX', math.ceil((back - us) / 1000) + 1)
  end
  local left = math.max(0, math.floor((us + full * each - back) / each + 0.000001))
  out[i] = {allowed and 1 or 0, left, math.max(0, math.ceil(early))}
end
return out
