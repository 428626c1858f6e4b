#!lua flags=allow-oom
-- ARGV: process queue, lease.
-- Returns 1: the lease was there and is renewed; 0: it is new, so whatever the store knew of this process is gone;
-- -1: the process was taken for dead, and its wills have been carried out.
-- include start, ends
local queue = ARGV[5]
if has_ended(queue) then
    -- Connections that were opened meanwhile have left wills: they are to be carried out too.
    if redis.call('EXISTS', prefix .. 'wills:' .. queue) == 1 then
        redis.call('ZADD', prefix .. 'processes', 0, queue)
    end
    return -1
end
return 1 - redis.call('ZADD', prefix .. 'processes', now + tonumber(ARGV[6]), queue)
