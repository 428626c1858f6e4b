#!lua flags=allow-oom
-- ARGV: worker process, lease, what it is working on.
-- include start
redis.call('ZADD', prefix .. 'workers', now + tonumber(ARGV[6]), ARGV[5])
redis.call('HSET', prefix .. 'held', ARGV[5], ARGV[7])
