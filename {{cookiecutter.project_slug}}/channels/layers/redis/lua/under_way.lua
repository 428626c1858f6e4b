#!lua flags=allow-oom
-- ARGV: channels.
-- Returns the age of the oldest message in each of them in milliseconds, -1 where none waits; and what living workers
-- say that they have.
-- include start, counts, queues
local ages, held = {}, {}
for i = 5, #ARGV do
    local death = drop_dead(ARGV[i])
    ages[#ages + 1] = death and math.max(0, expiry - (death - now)) or -1
end
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'workers', now, '+inf')) do
    held[#held + 1] = redis.call('HGET', prefix .. 'held', worker) or ''
end
return {ages, held}
