    -- Put an entry at the end of a queue, unless that has more than some number of entries then.
    local key = prefix .. 'queue:' .. queue
    local length = redis.call('RPUSH', key, entry)
    local is_taken = length <= most
    if not is_taken then
        redis.call('RPOP', key)
    elseif string.sub(queue, -1) == '!' then
        -- It also holds changes of memberships, which outlive messages, and how many is counted until it is empty.
        redis.call('PEXPIRE', key, group_expiry)
        if length == 1 then
            redis.call('DEL', prefix .. 'changes:' .. queue)
        end
    else
        redis.call('PEXPIRE', key, 3 * expiry)
        -- What nobody reads is found by the time of its death; process queues are looked after as a whole.
        if length == 1 then
            redis.call('ZADD', prefix .. 'deaths', now + expiry, queue)
        end
        -- Of messages to one channel behind a process queue, the sender counts this.
        local figure, amount = 'sent', 1
        -- include count
    end
