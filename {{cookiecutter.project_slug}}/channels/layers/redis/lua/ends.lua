local function has_ended(queue)
    return redis.call('EXISTS', prefix .. 'ended:' .. queue) == 1
end

-- Messages for it may still come: SWEEP looks after them.
local function set_ended(queue)
    redis.call('SET', prefix .. 'ended:' .. queue, '1', 'PX', 3600000)
    redis.call('ZADD', prefix .. 'deaths', now, queue)
end
