-- Add to counters, in order. KEYS: the counters; ARGV: the increments.
-- Returns for each its new value, or its error; an error of one does not affect the others. A value
-- above 2^53, where Lua's numbers lose precision, is returned as text.
local out = {}
for i, key in ipairs(KEYS) do
  local value = redis.pcall('INCRBY', key, ARGV[i])
  if type(value) == 'number' and (value > 9007199254740991 or value < -9007199254740991) then
    value = redis.call('GET', key)
  end
  out[i] = value
end
return out
