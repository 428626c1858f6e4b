local function count(queue, figure, amount)
    -- include count
end

-- Counts for the second that runs.
local function count_rate(queue, figure, amount)
    local key = prefix .. 'rate:' .. string.match(queue, SHARED) .. ':' .. time[1]
    redis.call('HINCRBY', key, figure, amount)
    redis.call('PEXPIRE', key, 11000)
end
