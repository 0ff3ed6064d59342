-- Adds to counters, of which none goes below zero. KEYS are the counters, ARGV
-- for each what is added and how many seconds it is kept.
for i = 1, #KEYS do
  if redis.call('INCRBY', KEYS[i], ARGV[2*i-1]) <= 0 then
    redis.call('DEL', KEYS[i])
  else
    redis.call('EXPIRE', KEYS[i], ARGV[2*i])
  end
end
return 0
