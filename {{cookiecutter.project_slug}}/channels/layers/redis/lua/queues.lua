local NEVER = '9999999999999'

local function is_process_queue(queue)
    return string.sub(queue, -1) == '!'
end

local function count_dropped(queue, reason, number)
    count(queue, 'gone', number)
    count(queue, 'dropped:' .. reason, number)
end

local function push(queue, entry)
    local most = math.huge
    -- include push
end

-- Changes of memberships share the queue with messages, do not expire, and do not count as messages. How many
-- of them a reader has taken is seen when the queue is empty.
local function push_change(queue, body)
    local changes = prefix .. 'changes:' .. queue
    push(queue, NEVER .. body)
    redis.call('INCR', changes)
    redis.call('PEXPIRE', changes, group_expiry)
end

local function count_messages(queue)
    local length = redis.call('LLEN', prefix .. 'queue:' .. queue)
    if length == 0 or not is_process_queue(queue) then
        return length
    end
    return math.max(0, length - tonumber(redis.call('GET', prefix .. 'changes:' .. queue) or 0))
end

-- The oldest message of a queue, and when it dies. Changes of memberships before it are passed over.
local function oldest_message(queue)
    local behind = is_process_queue(queue) and tonumber(redis.call('GET', prefix .. 'changes:' .. queue) or 0) or 0
    for _, entry in ipairs(redis.call('LRANGE', prefix .. 'queue:' .. queue, 0, behind)) do
        local death = string.sub(entry, 1, #NEVER)
        if death ~= NEVER then
            return entry, tonumber(death)
        end
    end
    return nil, nil
end

-- Messages that have died make room; the others keep their order. Returns when the next one dies.
local function drop_dead(queue)
    local dropped = 0
    local entry, death = oldest_message(queue)
    while entry and death <= now do
        redis.call('LREM', prefix .. 'queue:' .. queue, 1, entry)
        dropped = dropped + 1
        entry, death = oldest_message(queue)
    end
    if dropped > 0 then
        count_dropped(queue, 'expired', dropped)
    end
    return death
end
