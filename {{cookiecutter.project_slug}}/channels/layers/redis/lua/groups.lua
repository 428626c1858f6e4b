local function leave(group, queue)
    redis.call('ZREM', prefix .. 'group:' .. group, queue)
    redis.call('DEL', prefix .. 'members:' .. group .. ':' .. queue)
    redis.call('SREM', prefix .. 'groups:' .. queue, group)
end

local function leave_all(queue)
    for _, group in ipairs(redis.call('SMEMBERS', prefix .. 'groups:' .. queue)) do
        leave(group, queue)
    end
    redis.call('DEL', prefix .. 'joins:' .. queue)
end

-- Whoever has let a message expire reads no more: groups are of no use to it. A process with a lease may be late.
local function is_abandoned(queue)
    if redis.call('ZSCORE', prefix .. 'processes', queue) then
        return false
    end
    local _, death = oldest_message(queue)
    if not death or death > now then
        return false
    end
    leave_all(queue)
    return true
end
