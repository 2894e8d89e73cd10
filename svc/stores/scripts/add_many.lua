-- Step counters, in order. KEYS: the counters; ARGV: the steps.
-- Returns for each its new value (as digits past 2^53, where Lua's numbers round), or the error
-- that refused it: one counter's refusal never hides what became of the others.
local out = {}
for i, key in ipairs(KEYS) do
  local value = redis.pcall('INCRBY', key, ARGV[i])
  if type(value) == 'number' and (value > 9007199254740991 or value < -9007199254740991) then
    value = redis.call('GET', key)
  end
  out[i] = value
end
return out
