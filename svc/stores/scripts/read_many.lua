-- Read entries, in order, while they fit. KEYS: the entries; ARGV[1]: how many bytes fit; ARGV[2]: the
-- bytes of a header. Returns for each its bytes, false if there is none, or a list with its header if
-- it does not fit any more.
local room, full, out = tonumber(ARGV[1]), false, {}
for i, key in ipairs(KEYS) do
  -- One byte more than fits shows that the entry is too large, without reading all of it.
  local value = redis.pcall('GETRANGE', key, 0, full and ARGV[2] - 1 or room)
  if type(value) ~= 'string' or value == '' then out[i] = false
  elseif full then out[i] = {value}
  elseif #value > room then
    full = true
    out[i] = {redis.call('GETRANGE', key, 0, ARGV[2] - 1)}
  else
    room = room - #value
    out[i] = value
  end
end
return out
