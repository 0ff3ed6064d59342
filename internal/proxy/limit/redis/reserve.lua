-- Takes every amount, or none. KEYS are, for each charge, the counter of the
-- current window and of the one before; ARGV the amount, the most that may be
-- used, what is left of the window and its length (0 and 1 where it does not
-- slide), and how many seconds the counter is kept. Returns 1 where all were
-- taken, else 0, and for each charge how both counters stood before.
local taken, out = 1, {1}
for i = 1, #KEYS / 2 do
  local amount, most, left, length = tonumber(ARGV[5*i-4]), tonumber(ARGV[5*i-3]), tonumber(ARGV[5*i-2]), tonumber(ARGV[5*i-1])
  local current = tonumber(redis.call('GET', KEYS[2*i-1]) or '0')
  local previous = 0
  if left > 0 then previous = tonumber(redis.call('GET', KEYS[2*i]) or '0') end
  if current + math.ceil(previous * left / length) + amount > most then taken = 0 end
  out[2*i], out[2*i+1] = current, previous
end
out[1] = taken
if taken == 1 then
  for i = 1, #KEYS / 2 do
    redis.call('INCRBY', KEYS[2*i-1], ARGV[5*i-4])
    redis.call('EXPIRE', KEYS[2*i-1], ARGV[5*i])
  end
end
return out
