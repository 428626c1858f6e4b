#!lua flags=allow-oom
-- ARGV: packed entry for the reader or '', queue; then pairs of group and local part.
-- include start, counts, queues, groups, ends
local leaves, queue = ARGV[5], ARGV[6]
local left = prefix .. 'left:' .. queue
redis.call('ZREMRANGEBYSCORE', left, '-inf', now - 60000)
for i = 7, #ARGV, 2 do
    local group, member = ARGV[i], ARGV[i + 1]
    local members = prefix .. 'members:' .. group .. ':' .. queue
    if member ~= '' then
        redis.call('ZREM', members, member)
        redis.call('ZADD', left, now, group .. ' ' .. member)
        redis.call('HDEL', prefix .. 'joins:' .. queue, group .. ' ' .. member)
    end
    if redis.call('EXISTS', members) == 0 then
        leave(group, queue)
    end
end
redis.call('PEXPIRE', left, 60000)
if leaves ~= '' and not has_ended(queue) then
    push_change(queue, leaves)
end
