#!lua flags=allow-oom
-- ARGV: group. Returns queue, local part ('' for an ordinary channel), and so on.
-- include start, counts, queues, groups
local found = {}
for _, queue in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'group:' .. ARGV[5], '(' .. now, '+inf')) do
    if is_abandoned(queue) then
        -- No member any more.
    elseif is_process_queue(queue) then
        local key = prefix .. 'members:' .. ARGV[5] .. ':' .. queue
        for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
            found[#found + 1] = queue
            found[#found + 1] = member
        end
    else
        found[#found + 1] = queue
        found[#found + 1] = ''
    end
end
return found
