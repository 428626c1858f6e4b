#!lua flags=allow-oom
-- ARGV: how many queues at most.
-- Drops what has died unread, so that it is counted; whose queue that is has left its groups. Counts get a new life.
-- What has come for a process that has ended is dropped, too.
-- include start, counts, queues, groups, ends, processes
local deaths = prefix .. 'deaths'
for _, queue in ipairs(redis.call('ZRANGEBYSCORE', deaths, '-inf', now, 'LIMIT', 0, ARGV[5])) do
    is_abandoned(queue)
    redis.call('PEXPIRE', prefix .. 'counts:' .. string.match(queue, SHARED), life)
    local next_death = drop_dead(queue)
    if has_ended(queue) then
        drop_queue_of_ended(queue)
        next_death = now + expiry
    end
    if next_death then
        redis.call('ZADD', deaths, next_death, queue)
    else
        redis.call('ZREM', deaths, queue)
    end
end
