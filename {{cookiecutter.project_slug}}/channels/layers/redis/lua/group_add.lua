#!lua
-- ARGV: group, queue, local part, capacity or '', packed entry for the reader of the queue, '1' if that is sealed, or
-- else ''.
-- include start, counts, queues, groups, ends
local group, queue, member, capacity, joins, is_sealed = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local lapses, kept = now + tonumber(group_expiry), group_expiry + 1000
if has_ended(queue) then
    return
end
if is_abandoned(queue) then
    drop_dead(queue)
end
redis.call('ZADD', prefix .. 'group:' .. group, 'GT', lapses, queue)
redis.call('PEXPIRE', prefix .. 'group:' .. group, kept)
if capacity ~= '' then
    redis.call('HSET', prefix .. 'capacity', queue, capacity)
else
    redis.call('HDEL', prefix .. 'capacity', queue)
end
redis.call('SADD', prefix .. 'groups:' .. queue, group)
redis.call('PEXPIRE', prefix .. 'groups:' .. queue, kept)
if member ~= '' then
    local members = prefix .. 'members:' .. group .. ':' .. queue
    redis.call('ZADD', members, lapses, member)
    redis.call('PEXPIRE', members, kept)
    redis.call('ZREM', prefix .. 'left:' .. queue, group .. ' ' .. member)
    if is_sealed ~= '' then
        redis.call('HSET', prefix .. 'joins:' .. queue, group .. ' ' .. member, joins)
        redis.call('PEXPIRE', prefix .. 'joins:' .. queue, kept)
    end
    push_change(queue, joins)
end
