    -- Counts live on after the last one; what comes often renews that now and then, what comes seldom is left to SWEEP.
    local counts = prefix .. 'counts:' .. string.match(queue, SHARED)
    if (redis.call('HINCRBY', counts, figure, amount) - 1) % 64 < amount then
        redis.call('PEXPIRE', counts, life)
    end
