#!lua flags=allow-oom
-- ARGV: queue, entry. Undoes a pop.
-- include start
local key = prefix .. 'queue:' .. ARGV[5]
redis.call('LPUSH', key, ARGV[6])
redis.call('PEXPIRE', key, 3 * expiry)
redis.call('ZADD', prefix .. 'deaths', 'LT', string.sub(ARGV[6], 1, 13), ARGV[5])
