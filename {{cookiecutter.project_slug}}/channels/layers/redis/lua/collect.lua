#!lua flags=allow-oom
-- ARGV: after how long without a look leases begin anew, lease, how many wills at most.
-- Carries out the wills of one dead interface process, and forgets it when none is left. Returns the process queue and
-- the number of wills, or nothing when no process has died. They are exempt from capacity: there is nobody left to try
-- again.
-- include start, counts, queues, groups, ends, processes, leases
look(tonumber(ARGV[5]), tonumber(ARGV[6]))
local queue = redis.call('ZRANGEBYSCORE', prefix .. 'processes', '-inf', now, 'LIMIT', 0, 1)[1]
if not queue then
    return nil
end
set_ended(queue)
local key = prefix .. 'wills:' .. queue
local members = redis.call('HRANDFIELD', key, ARGV[7])
for _, member in ipairs(members) do
    local will = redis.call('HGET', key, member)
    local cut = string.find(will, '\n', 1, true)
    push(string.sub(will, 1, cut - 1), string.format('%013d', now + expiry) .. string.sub(will, cut + 1))
    redis.call('HDEL', key, member)
end
if redis.call('EXISTS', key) == 0 then
    forget_process(queue)
end
return {queue, #members}
