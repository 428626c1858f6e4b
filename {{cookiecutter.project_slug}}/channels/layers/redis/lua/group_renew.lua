#!lua flags=allow-oom
-- ARGV: queue; then pairs of group and local part.
-- include start, ends
local queue = ARGV[5]
local lapses, kept = now + tonumber(group_expiry), group_expiry + 1000
local groups = prefix .. 'groups:' .. queue
if has_ended(queue) then
    return
end
for i = 6, #ARGV, 2 do
    local group, member = ARGV[i], ARGV[i + 1]
    local key, members = prefix .. 'group:' .. group, prefix .. 'members:' .. group .. ':' .. queue
    -- It may have said so before it read that the member has left.
    if not redis.call('ZSCORE', prefix .. 'left:' .. queue, group .. ' ' .. member) then
        redis.call('ZADD', key, 'GT', lapses, queue)
        redis.call('PEXPIRE', key, kept)
        redis.call('ZADD', members, lapses, member)
        redis.call('PEXPIRE', members, kept)
        redis.call('SADD', groups, group)
    end
end
redis.call('PEXPIRE', groups, kept)
redis.call('PEXPIRE', prefix .. 'joins:' .. queue, kept)
