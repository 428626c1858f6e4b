"""
What runs inside the store, each script in one atomic step.

Keys, below the layer's prefix:

    queue:<queue>            list of entries
    group:<group>            sorted set of the queues with members in it, by the time their membership lapses
    members:<group>:<queue>  sorted set of the local parts that are members, by the same time
    groups:<queue>           set of the groups with members behind a process queue
    processes                sorted set of process queues by the time their lease ends
    wills:<queue>            hash of local part to the last will of an open connection: a channel, a line break,
                             and the entry that is pushed there when the process has died
    collected:<queue>        set when the wills of a process have been carried out
    changes:<queue>          how many entries of a process queue are no messages but change memberships, at most
    capacity                 hash of queue to capacity, where it is not the default

Times are milliseconds of the store's own clock; no client's clock decides anything.
"""

from __future__ import annotations

import hashlib
from typing import Any


class Script:
    """
    A script, sent by its digest; the store asks for the text when it does not know it.

    A store without memory refuses it before its first step, unless it ``frees_memory`` or needs as good as none.
    """

    def __init__(self, body: str, frees_memory: bool = False) -> None:
        self.text = (("#!lua flags=allow-oom\n" if frees_memory else "#!lua\n") + _COMMON + body).encode()
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    def by_digest(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the command that runs the script if the store knows it."""
        return ("EVALSHA", self.digest, 0, *arguments)

    def by_text(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the command that runs the script, and makes the store know it."""
        return ("EVAL", self.text, 0, *arguments)


_COMMON = """
local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function is_process_queue(queue)
    return string.sub(queue, -1) == '!'
end

-- The oldest message of a queue, and when it dies. Changes of memberships before it are passed over.
local function oldest_message(queue)
    local behind = is_process_queue(queue) and tonumber(redis.call('GET', prefix .. 'changes:' .. queue) or 0) or 0
    for _, entry in ipairs(redis.call('LRANGE', prefix .. 'queue:' .. queue, 0, behind)) do
        local death = tonumber(string.sub(entry, 1, 13))
        if death ~= 9999999999999 then
            return entry, death
        end
    end
    return nil, nil
end

-- Messages that have died make room; the others keep their order.
local function drop_dead(queue)
    local entry, death = oldest_message(queue)
    while entry and death <= now do
        redis.call('LREM', prefix .. 'queue:' .. queue, 1, entry)
        entry, death = oldest_message(queue)
    end
end

local function append(queue, body, death, life)
    local key = prefix .. 'queue:' .. queue
    redis.call('RPUSH', key, string.format('%013d', death) .. body)
    redis.call('PEXPIRE', key, life)
end

-- Changes of memberships share the queue with messages, do not expire, and do not count as messages. How many
-- of them a reader has taken is seen when the queue is empty.
local function append_change(queue, body, life)
    local changes = prefix .. 'changes:' .. queue
    if redis.call('EXISTS', prefix .. 'queue:' .. queue) == 0 then
        redis.call('DEL', changes)
    end
    redis.call('INCR', changes)
    redis.call('PEXPIRE', changes, life)
    append(queue, body, 9999999999999, life)
end

local function count_messages(queue)
    local length = redis.call('LLEN', prefix .. 'queue:' .. queue)
    if not is_process_queue(queue) then
        return length
    end
    local changes = prefix .. 'changes:' .. queue
    if length == 0 then
        redis.call('DEL', changes)
        return 0
    end
    return math.max(0, length - tonumber(redis.call('GET', changes) or 0))
end

local function set_will(queue, member, will)
    if will == '' then
        redis.call('HDEL', prefix .. 'wills:' .. queue, member)
    else
        redis.call('HSET', prefix .. 'wills:' .. queue, member, will)
    end
end

local function leave(group, queue)
    redis.call('ZREM', prefix .. 'group:' .. group, queue)
    redis.call('DEL', prefix .. 'members:' .. group .. ':' .. queue)
    redis.call('SREM', prefix .. 'groups:' .. queue, group)
end

local function leave_all(queue)
    for _, group in ipairs(redis.call('SMEMBERS', prefix .. 'groups:' .. queue)) do
        leave(group, queue)
    end
end

-- Whoever has let a message expire reads no more: groups are of no use to it. A process with a lease may be late.
local function is_abandoned(queue)
    if redis.call('ZSCORE', prefix .. 'processes', queue) then
        return false
    end
    local _, death = oldest_message(queue)
    if not death or death > now then
        return false
    end
    leave_all(queue)
    return true
end
"""

# ARGV: prefix, expiry, group expiry, default capacities of channels and of process queues; then for each send
# 'c' or 'g', the queue or group, its capacity (0: by the defaults), the packed entry, and where the send opens or
# closes a connection its process queue, its local part, and its last will ('' to forget that).
# Returns a list with, for each send, the queues that took it and those that were full, each joined by blanks.
SEND = Script(
    """
local expiry, group_expiry = tonumber(ARGV[2]), tonumber(ARGV[3])
local full = {}

local function push(queue, capacity, body)
    if count_messages(queue) >= capacity then
        drop_dead(queue)
        if count_messages(queue) >= capacity then
            return false
        end
    end
    -- A process queue also holds changes of memberships, which outlive messages.
    append(queue, body, now + expiry, is_process_queue(queue) and group_expiry or 2 * expiry)
    return true
end

local function broadcast(group, body)
    local key = prefix .. 'group:' .. group
    local taken, missed = {}, {}
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    for _, queue in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        local lease = redis.call('ZSCORE', prefix .. 'processes', queue)
        if lease and tonumber(lease) > now or not lease and not is_abandoned(queue) then
            local own = redis.call('HGET', prefix .. 'capacity', queue)
            if push(queue, tonumber(own or ARGV[is_process_queue(queue) and 5 or 4]), body) then
                taken[#taken + 1] = queue
            else
                missed[#missed + 1] = queue
            end
        end
    end
    return {table.concat(taken, ' '), table.concat(missed, ' ')}
end

local results = {}
for i = 6, #ARGV, 7 do
    local name, body = ARGV[i + 1], ARGV[i + 3]
    if ARGV[i] == 'g' then
        results[#results + 1] = broadcast(name, body)
    elseif not full[name] and push(name, tonumber(ARGV[i + 2]), body) then
        results[#results + 1] = {name, ''}
        if ARGV[i + 4] ~= '' then
            set_will(ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
        end
    else
        full[name] = true
        results[#results + 1] = {'', name}
    end
end
return results
"""
)

# ARGV: prefix, group expiry, group, queue, local part, capacity or '', packed entry for the reader of the queue.
GROUP_ADD = Script(
    """
local group_expiry, group, queue, member = tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local lapses = now + group_expiry
if is_abandoned(queue) then
    drop_dead(queue)
end
redis.call('ZADD', prefix .. 'group:' .. group, 'GT', lapses, queue)
redis.call('PEXPIRE', prefix .. 'group:' .. group, group_expiry + 1000)
if ARGV[6] ~= '' then
    redis.call('HSET', prefix .. 'capacity', queue, ARGV[6])
end
redis.call('SADD', prefix .. 'groups:' .. queue, group)
redis.call('PEXPIRE', prefix .. 'groups:' .. queue, group_expiry + 1000)
if member ~= '' then
    local members = prefix .. 'members:' .. group .. ':' .. queue
    redis.call('ZADD', members, lapses, member)
    redis.call('PEXPIRE', members, group_expiry + 1000)
    append_change(queue, ARGV[7], group_expiry)
end
"""
)

# ARGV: prefix, group expiry, packed entry for the reader or '', queue; then pairs of group and local part.
GROUP_DISCARD = Script(
    """
local group_expiry, queue = tonumber(ARGV[2]), ARGV[4]
for i = 5, #ARGV, 2 do
    local group, member = ARGV[i], ARGV[i + 1]
    local members = prefix .. 'members:' .. group .. ':' .. queue
    if member ~= '' then
        redis.call('ZREM', members, member)
    end
    if redis.call('EXISTS', members) == 0 then
        leave(group, queue)
    end
end
if ARGV[3] ~= '' then
    append_change(queue, ARGV[3], group_expiry)
end
""",
    frees_memory=True,
)

# ARGV: prefix, group. Returns queue, local part ('' for an ordinary channel), and so on.
GROUP_CHANNELS = Script(
    """
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
    """
local group_expiry, queue = tonumber(ARGV[2]), ARGV[3]
local lapses = now + group_expiry
local groups = prefix .. 'groups:' .. queue
for i = 4, #ARGV, 2 do
    local group, member = ARGV[i], ARGV[i + 1]
    local key, members = prefix .. 'group:' .. group, prefix .. 'members:' .. group .. ':' .. queue
    redis.call('ZADD', key, 'GT', lapses, queue)
    redis.call('PEXPIRE', key, group_expiry + 1000)
    redis.call('ZADD', members, lapses, member)
    redis.call('PEXPIRE', members, group_expiry + 1000)
    redis.call('SADD', groups, group)
end
redis.call('PEXPIRE', groups, group_expiry + 1000)
""",
    frees_memory=True,
)

# ARGV: prefix, process queue.
# Returns its memberships, as group, local part, and so on; nothing when the store does not know the process.
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
    end
end
return found
""",
    frees_memory=True,
)

# ARGV: prefix, expiry, queue or '' for all. Returns the number of messages that wait and the age of the oldest.
PENDING = Script(
    """
local keys = ARGV[3] ~= '' and {prefix .. 'queue:' .. ARGV[3]} or {}
if ARGV[3] == '' then
    local cursor = '0'
    repeat
        local found = redis.call('SCAN', cursor, 'MATCH', prefix .. 'queue:*', 'COUNT', 1000)
        cursor = found[1]
        for _, key in ipairs(found[2]) do keys[#keys + 1] = key end
    until cursor == '0'
end
local count, age = 0, 0
for _, key in ipairs(keys) do
    local queue = string.sub(key, #prefix + 7)
    drop_dead(queue)
    count = count + count_messages(queue)
    local _, death = oldest_message(queue)
    if death then age = math.max(age, tonumber(ARGV[2]) - (death - now)) end
end
return {count, age}
""",
    frees_memory=True,
)

# ARGV: prefix, process queue, lease.
# Returns 1: the lease was there and is renewed; 0: it is new, so whatever the store knew of this process is gone;
# -1: the process was taken for dead, and its wills have been carried out.
RENEW_LEASE = Script(
    """
if redis.call('EXISTS', prefix .. 'collected:' .. ARGV[2]) == 1 then
    return -1
end
return 1 - redis.call('ZADD', prefix .. 'processes', now + tonumber(ARGV[3]), ARGV[2])
""",
    frees_memory=True,
)

# ARGV: prefix, process queue. For a process that has told the end of all its connections itself.
END_LEASE = Script(
    """
leave_all(ARGV[2])
redis.call('DEL', prefix .. 'wills:' .. ARGV[2], prefix .. 'queue:' .. ARGV[2], prefix .. 'changes:' .. ARGV[2])
redis.call('HDEL', prefix .. 'capacity', ARGV[2])
redis.call('ZREM', prefix .. 'processes', ARGV[2])
""",
    frees_memory=True,
)

# ARGV: prefix, process queue; then pairs of local part and last will ('' to forget it).
SET_WILLS = Script(
    """
for i = 3, #ARGV, 2 do
    set_will(ARGV[2], ARGV[i], ARGV[i + 1])
end
""",
    frees_memory=True,
)

# ARGV: prefix, expiry, how many wills at most.
# Carries out the wills of one dead process, and forgets it when none is left. Returns the process queue and the number
# of wills, or nothing when no process has died. They are exempt from capacity: there is nobody left to try again.
COLLECT = Script(
    """
local queue = redis.call('ZRANGEBYSCORE', prefix .. 'processes', '-inf', now, 'LIMIT', 0, 1)[1]
if not queue then
    return nil
end
redis.call('SET', prefix .. 'collected:' .. queue, '1', 'PX', 3600000)
local expiry, key = tonumber(ARGV[2]), prefix .. 'wills:' .. queue
local members = redis.call('HRANDFIELD', key, ARGV[3])
for _, member in ipairs(members) do
    local will = redis.call('HGET', key, member)
    local cut = string.find(will, '\\n', 1, true)
    append(string.sub(will, 1, cut - 1), string.sub(will, cut + 1), now + expiry, 2 * expiry)
    redis.call('HDEL', key, member)
end
if redis.call('EXISTS', key) == 0 then
    leave_all(queue)
    redis.call('DEL', prefix .. 'queue:' .. queue, prefix .. 'changes:' .. queue)
    redis.call('HDEL', prefix .. 'capacity', queue)
    redis.call('ZREM', prefix .. 'processes', queue)
end
return {queue, #members}
""",
    frees_memory=True,
)
