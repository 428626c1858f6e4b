#!lua flags=allow-oom
-- ARGV: after how long without a look leases begin anew, lease.
-- Forgets one worker process that has died; returns it and what it was working on, or nothing.
-- include start, leases, workers
look(tonumber(ARGV[5]), tonumber(ARGV[6]))
local worker = redis.call('ZRANGEBYSCORE', prefix .. 'workers', '-inf', now, 'LIMIT', 0, 1)[1]
if not worker then
    return nil
end
local held = redis.call('HGET', prefix .. 'held', worker)
forget_worker(worker)
return {worker, held}
