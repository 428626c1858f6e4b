local function drop_queue_of_ended(queue)
    local left = count_messages(queue)
    if left > 0 then
        count_dropped(queue, 'its interface process has ended', left)
    end
    redis.call('DEL', prefix .. 'queue:' .. queue, prefix .. 'changes:' .. queue)
end

-- What is left of an interface process that has ended.
local function forget_process(queue)
    leave_all(queue)
    drop_queue_of_ended(queue)
    redis.call('DEL', prefix .. 'wills:' .. queue)
    redis.call('HDEL', prefix .. 'capacity', queue)
    redis.call('ZREM', prefix .. 'processes', queue)
end
