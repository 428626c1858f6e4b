#!lua flags=allow-oom
-- ARGV: keys of queues and of counts, without the prefix.
-- Returns for each of the queues what it is counted by and how many messages wait in it; the age of the oldest message
-- and the time, both in milliseconds; then for each of the counts its name, the messages of the last ten seconds, those
-- of them that found a full channel, and the counts themselves.
-- include start, counts, queues
local waiting, age, counted = {}, 0, {}
for i = 5, #ARGV do
    local kind, name = string.match(ARGV[i], '^(%a+):(.*)$')
    if kind == 'counts' then
        counted[#counted + 1] = name
    else
        local death = drop_dead(name)
        waiting[#waiting + 1] = string.match(name, SHARED)
        waiting[#waiting + 1] = count_messages(name)
        if death then
            age = math.max(age, expiry - (death - now))
        end
    end
end
local result = {waiting, age, now}
for _, channel in ipairs(counted) do
    local sent, full = 0, 0
    for second = tonumber(time[1]) - 9, tonumber(time[1]) do
        local key = prefix .. 'rate:' .. channel .. ':' .. string.format('%d', second)
        local rate = redis.call('HMGET', key, 'sent', 'full')
        sent, full = sent + tonumber(rate[1] or 0), full + tonumber(rate[2] or 0)
    end
    result[#result + 1] = {channel, sent, full, redis.call('HGETALL', prefix .. 'counts:' .. channel)}
end
return result
