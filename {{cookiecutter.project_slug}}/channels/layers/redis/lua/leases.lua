-- When nobody has looked for dead processes for so long, the store was away, or all of the site was, and perhaps nobody
-- could renew a lease: they begin anew. Each only once: such a lease ends at half a millisecond, until its process
-- renews it.
local function look(unwatched, lease)
    local looked = tonumber(redis.call('SET', prefix .. 'looked', now, 'PX', 86400000, 'GET') or now)
    if now - looked <= unwatched then
        return
    end
    for _, leases in ipairs({prefix .. 'processes', prefix .. 'workers'}) do
        local found = redis.call('ZRANGE', leases, 0, -1, 'WITHSCORES')
        for i = 1, #found, 2 do
            if found[i + 1] % 1 == 0 then
                redis.call('ZADD', leases, string.format('%d.5', now + lease), found[i])
            end
        end
    end
end
