#!lua flags=allow-oom
-- ARGV: process queue.
-- Returns its memberships, as group, local part, sealed entry or '', and so on; nothing when the store does not know the
-- process.
-- include start
local queue = ARGV[5]
if not redis.call('ZSCORE', prefix .. 'processes', queue) then
    return nil
end
local found = {}
for _, group in ipairs(redis.call('SMEMBERS', prefix .. 'groups:' .. queue)) do
    local key = prefix .. 'members:' .. group .. ':' .. queue
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
        found[#found + 1] = group
        found[#found + 1] = member
        found[#found + 1] = redis.call('HGET', prefix .. 'joins:' .. queue, group .. ' ' .. member) or ''
    end
end
return found
