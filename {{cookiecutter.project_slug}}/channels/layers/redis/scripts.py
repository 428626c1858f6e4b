"""What runs inside the store, each script in one atomic step. ``script`` says what lies where."""

from __future__ import annotations

from .script import FUNCTIONS, Script

# ARGV: prefix, life of the counts; then for each count its channel, its figure (those that begin with 'rate:' are for
# the second that runs) and its number.
SAVE_COUNTS = Script(
    FUNCTIONS
    + """
for i = 3, #ARGV, 3 do
    count(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]))
end
save_counts(ARGV[2])
""",
    frees_memory=True,
)

# ARGV: prefix, group expiry, group, queue, local part, capacity or '', packed entry for the reader of the queue, '1' if
# that is sealed, or else ''.
GROUP_ADD = Script(
    FUNCTIONS
    + """
local group_expiry, group, queue, member = tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local lapses = now + group_expiry
if has_ended(queue) then
    return
end
if is_abandoned(queue) then
    drop_dead(queue)
    save_counts(group_expiry)
end
redis.call('ZADD', prefix .. 'group:' .. group, 'GT', lapses, queue)
redis.call('PEXPIRE', prefix .. 'group:' .. group, group_expiry + 1000)
if ARGV[6] ~= '' then
    redis.call('HSET', prefix .. 'capacity', queue, ARGV[6])
else
    redis.call('HDEL', prefix .. 'capacity', queue)
end
redis.call('SADD', prefix .. 'groups:' .. queue, group)
redis.call('PEXPIRE', prefix .. 'groups:' .. queue, group_expiry + 1000)
if member ~= '' then
    local members = prefix .. 'members:' .. group .. ':' .. queue
    redis.call('ZADD', members, lapses, member)
    redis.call('PEXPIRE', members, group_expiry + 1000)
    redis.call('ZREM', prefix .. 'left:' .. queue, group .. ' ' .. member)
    if ARGV[8] ~= '' then
        redis.call('HSET', prefix .. 'joins:' .. queue, group .. ' ' .. member, ARGV[7])
        redis.call('PEXPIRE', prefix .. 'joins:' .. queue, group_expiry + 1000)
    end
    append_change(queue, ARGV[7], group_expiry)
end
"""
)

# ARGV: prefix, group expiry, packed entry for the reader or '', queue; then pairs of group and local part.
GROUP_DISCARD = Script(
    FUNCTIONS
    + """
local group_expiry, queue = tonumber(ARGV[2]), ARGV[4]
local left = prefix .. 'left:' .. queue
redis.call('ZREMRANGEBYSCORE', left, '-inf', now - 60000)
for i = 5, #ARGV, 2 do
    local group, member = ARGV[i], ARGV[i + 1]
    local members = prefix .. 'members:' .. group .. ':' .. queue
    if member ~= '' then
        redis.call('ZREM', members, member)
        redis.call('ZADD', left, now, group .. ' ' .. member)
        redis.call('HDEL', prefix .. 'joins:' .. queue, group .. ' ' .. member)
    end
    if redis.call('EXISTS', members) == 0 then
        leave(group, queue)
    end
end
redis.call('PEXPIRE', left, 60000)
if ARGV[3] ~= '' and not has_ended(queue) then
    append_change(queue, ARGV[3], group_expiry)
end
""",
    frees_memory=True,
)

# ARGV: prefix, group. Returns queue, local part ('' for an ordinary channel), and so on.
GROUP_CHANNELS = Script(
    FUNCTIONS
    + """
local found = {}
for _, queue in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'group:' .. ARGV[2], '(' .. now, '+inf')) do
    if is_abandoned(queue) then
        -- No member any more.
    elseif is_process_queue(queue) then
        local key = prefix .. 'members:' .. ARGV[2] .. ':' .. queue
        for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
            found[#found + 1] = queue
            found[#found + 1] = member
        end
    else
        found[#found + 1] = queue
        found[#found + 1] = ''
    end
end
return found
""",
    frees_memory=True,
)

# ARGV: prefix, group expiry, queue; then pairs of group and local part.
GROUP_RENEW = Script(
    FUNCTIONS
    + """
local group_expiry, queue = tonumber(ARGV[2]), ARGV[3]
local lapses = now + group_expiry
local groups = prefix .. 'groups:' .. queue
if has_ended(queue) then
    return
end
for i = 4, #ARGV, 2 do
    local group, member = ARGV[i], ARGV[i + 1]
    local key, members = prefix .. 'group:' .. group, prefix .. 'members:' .. group .. ':' .. queue
    -- It may have said so before it read that the member has left.
    if not redis.call('ZSCORE', prefix .. 'left:' .. queue, group .. ' ' .. member) then
        redis.call('ZADD', key, 'GT', lapses, queue)
        redis.call('PEXPIRE', key, group_expiry + 1000)
        redis.call('ZADD', members, lapses, member)
        redis.call('PEXPIRE', members, group_expiry + 1000)
        redis.call('SADD', groups, group)
    end
end
redis.call('PEXPIRE', groups, group_expiry + 1000)
redis.call('PEXPIRE', prefix .. 'joins:' .. queue, group_expiry + 1000)
""",
    frees_memory=True,
)

# ARGV: prefix, process queue.
# Returns its memberships, as group, local part, sealed entry or '', and so on; nothing when the store does not know the
# process.
MEMBERSHIPS = Script(
    """
if not redis.call('ZSCORE', prefix .. 'processes', ARGV[2]) then
    return nil
end
local found = {}
for _, group in ipairs(redis.call('SMEMBERS', prefix .. 'groups:' .. ARGV[2])) do
    local key = prefix .. 'members:' .. group .. ':' .. ARGV[2]
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do
        found[#found + 1] = group
        found[#found + 1] = member
        found[#found + 1] = redis.call('HGET', prefix .. 'joins:' .. ARGV[2], group .. ' ' .. member) or ''
    end
end
return found
""",
    frees_memory=True,
)

# ARGV: prefix, expiry, life of the counts; then keys of queues and of counts, without the prefix.
# Returns for each of the queues what it is counted by and how many messages wait in it; the age of the oldest message
# and the time, both in milliseconds; then for each of the counts its name, the messages of the last ten seconds, those
# of them that found a full channel, and the counts themselves.
FIGURES = Script(
    FUNCTIONS
    + """
local waiting, age, counted = {}, 0, {}
for i = 4, #ARGV do
    local kind, name = string.match(ARGV[i], '^(%a+):(.*)$')
    if kind == 'counts' then
        counted[#counted + 1] = name
    else
        local death = drop_dead(name)
        waiting[#waiting + 1] = counted_by(name)
        waiting[#waiting + 1] = count_messages(name)
        if death then age = math.max(age, tonumber(ARGV[2]) - (death - now)) end
    end
end
save_counts(ARGV[3])
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
""",
    frees_memory=True,
)

# ARGV: prefix, expiry, queue, entry. Undoes a pop.
PUT_BACK = Script(
    """
local key = prefix .. 'queue:' .. ARGV[3]
redis.call('LPUSH', key, ARGV[4])
redis.call('PEXPIRE', key, 3 * ARGV[2])
redis.call('ZADD', prefix .. 'deaths', 'LT', string.sub(ARGV[4], 1, 13), ARGV[3])
""",
    frees_memory=True,
)

# ARGV: prefix, process queue, lease.
# Returns 1: the lease was there and is renewed; 0: it is new, so whatever the store knew of this process is gone;
# -1: the process was taken for dead, and its wills have been carried out.
RENEW_LEASE = Script(
    FUNCTIONS
    + """
if has_ended(ARGV[2]) then
    -- Connections that were opened meanwhile have left wills: they are to be carried out too.
    if redis.call('EXISTS', prefix .. 'wills:' .. ARGV[2]) == 1 then
        redis.call('ZADD', prefix .. 'processes', 0, ARGV[2])
    end
    return -1
end
return 1 - redis.call('ZADD', prefix .. 'processes', now + tonumber(ARGV[3]), ARGV[2])
""",
    frees_memory=True,
)

# ARGV: prefix, process queue, life of the counts. For a process that has told the end of all its connections itself.
END_LEASE = Script(
    FUNCTIONS
    + """
set_ended(ARGV[2])
forget_process(ARGV[2])
save_counts(ARGV[3])
""",
    frees_memory=True,
)

# ARGV: prefix, process queue; then pairs of local part and last will ('' to forget it).
SET_WILLS = Script(
    FUNCTIONS
    + """
for i = 3, #ARGV, 2 do
    set_will(ARGV[2], ARGV[i], ARGV[i + 1])
end
""",
    frees_memory=True,
)

# What looks for processes that have died.
_LOOK = """
-- When nobody has looked for so long, the store was away, or all of the site was, and perhaps nobody could renew a
-- lease: they begin anew. Each only once: such a lease ends at half a millisecond, until its process renews it.
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
"""

# ARGV: prefix, expiry, life of the counts, how many wills at most, after how long without a look leases begin anew,
# lease.
# Carries out the wills of one dead interface process, and forgets it when none is left. Returns the process queue and
# the number of wills, or nothing when no process has died. They are exempt from capacity: there is nobody left to try
# again.
COLLECT = Script(
    FUNCTIONS
    + _LOOK
    + """
look(tonumber(ARGV[5]), tonumber(ARGV[6]))
local queue = redis.call('ZRANGEBYSCORE', prefix .. 'processes', '-inf', now, 'LIMIT', 0, 1)[1]
if not queue then
    return nil
end
set_ended(queue)
local expiry, key = tonumber(ARGV[2]), prefix .. 'wills:' .. queue
local members = redis.call('HRANDFIELD', key, ARGV[4])
for _, member in ipairs(members) do
    local will = redis.call('HGET', key, member)
    local cut = string.find(will, '\\n', 1, true)
    local channel = string.sub(will, 1, cut - 1)
    append_message(channel, string.sub(will, cut + 1), expiry, 3 * expiry)
    count(channel, 'sent', 1)
    redis.call('HDEL', key, member)
end
if redis.call('EXISTS', key) == 0 then
    forget_process(queue)
end
save_counts(ARGV[3])
return {queue, #members}
""",
    frees_memory=True,
)

# ARGV: prefix, expiry, life of the counts, how many queues at most.
# Drops what has died unread, so that it is counted; whose queue that is has left its groups. Counts get a new life.
# What has come for a process that has ended is dropped, too.
SWEEP = Script(
    FUNCTIONS
    + """
local deaths = prefix .. 'deaths'
for _, queue in ipairs(redis.call('ZRANGEBYSCORE', deaths, '-inf', now, 'LIMIT', 0, ARGV[4])) do
    is_abandoned(queue)
    redis.call('PEXPIRE', prefix .. 'counts:' .. counted_by(queue), ARGV[3])
    local next_death = drop_dead(queue)
    if has_ended(queue) then
        drop_queue_of_ended(queue)
        next_death = now + tonumber(ARGV[2])
    end
    if next_death then
        redis.call('ZADD', deaths, next_death, queue)
    else
        redis.call('ZREM', deaths, queue)
    end
end
save_counts(ARGV[3])
""",
    frees_memory=True,
)

# ARGV: prefix, worker process, lease, what it is working on.
RENEW_WORKER = Script(
    FUNCTIONS
    + """
redis.call('ZADD', prefix .. 'workers', now + tonumber(ARGV[3]), ARGV[2])
redis.call('HSET', prefix .. 'held', ARGV[2], ARGV[4])
""",
    frees_memory=True,
)

# ARGV: prefix, worker process. For one that has finished all it had.
END_WORKER = Script(
    FUNCTIONS
    + """
redis.call('ZREM', prefix .. 'workers', ARGV[2])
redis.call('HDEL', prefix .. 'held', ARGV[2])
""",
    frees_memory=True,
)

# ARGV: prefix, after how long without a look leases begin anew, lease.
# Forgets one worker process that has died; returns it and what it was working on, or nothing.
COLLECT_WORKER = Script(
    FUNCTIONS
    + _LOOK
    + """
look(tonumber(ARGV[2]), tonumber(ARGV[3]))
local worker = redis.call('ZRANGEBYSCORE', prefix .. 'workers', '-inf', now, 'LIMIT', 0, 1)[1]
if not worker then
    return nil
end
local held = redis.call('HGET', prefix .. 'held', worker)
redis.call('ZREM', prefix .. 'workers', worker)
redis.call('HDEL', prefix .. 'held', worker)
return {worker, held}
""",
    frees_memory=True,
)
