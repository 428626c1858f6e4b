"""
Scripts for the store, and what all of them can call.

Keys, below the layer's prefix:

    queue:<queue>            list of entries
    group:<group>            sorted set of the queues with members in it, by the time their membership lapses
    members:<group>:<queue>  sorted set of the local parts that are members, by the same time
    groups:<queue>           set of the groups with members behind a process queue
    joins:<queue>            with encryption: hash of membership, as group, blank, local part, to the sealed entry that
                             told the process of it
    left:<queue>             sorted set of memberships that have ended in the last minute, by the time when they did, as
                             group, blank, local part: their process may not know yet
    processes                sorted set of process queues by the time their lease ends
    wills:<queue>            hash of local part to the last will of an open connection: a channel, a line break,
                             and the entry that is pushed there when the process has died
    ended:<queue>            set for an hour when a process has ended, or was taken for dead: it never comes back
    changes:<queue>          how many entries of a process queue are no messages but change memberships, at most
    looked                   kept for a day: when somebody last looked for processes that have died
    capacity                 hash of queue to capacity, where it is not the default
    deaths                   sorted set of queues by the time when the oldest message in them dies, or earlier; those
                             of processes that have ended by the time when they are looked after
    workers                  sorted set of worker processes by the time their lease ends
    held                     hash of worker process to what it was working on when it last said so
    counts:<channel>         hash of figure to count, by the part of the name that many channels share:
                             sent, done (its reader has finished with it), gone (has reached nobody), full,
                             dropped:<reason>, and last, the time when a reader last said that it had taken a message
    rate:<channel>:<second>  hash of the figures sent and full, for one second

Times are milliseconds of the store's own clock; no client's clock decides anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

_HEAD = """
local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# What most scripts call.
FUNCTIONS = """
local function is_process_queue(queue)
    return string.sub(queue, -1) == '!'
end

-- The part of a channel's name that many channels share.
local function counted_by(queue)
    return string.match(queue, '^[^?]*[?]?')
end

-- What is counted in this step, by that part and by figure.
local counts = {}

local function count(queue, figure, number)
    local channel = counted_by(queue)
    local own = counts[channel]
    if not own then
        own = {}
        counts[channel] = own
    end
    own[figure] = (own[figure] or 0) + number
end

local function count_dropped(queue, reason, number)
    count(queue, 'gone', number)
    count(queue, 'dropped:' .. reason, number)
end

local function count_full(queue)
    count(queue, 'full', 1)
    count(queue, 'rate:full', 1)
end

-- Figures that begin with 'rate:' are for the second that runs.
local function save_counts(life)
    for channel, own in pairs(counts) do
        for figure, number in pairs(own) do
            local rate = string.match(figure, '^rate:(.*)')
            local key = prefix .. (rate and 'rate:' or 'counts:') .. channel .. (rate and ':' .. time[1] or '')
            redis.call('HINCRBY', key, rate or figure, number)
            redis.call('PEXPIRE', key, rate and 11000 or life)
            if figure == 'done' then
                redis.call('HSET', key, 'last', now)
            end
        end
    end
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

-- Messages that have died make room; the others keep their order. Returns when the next one dies.
local function drop_dead(queue)
    local entry, death = oldest_message(queue)
    while entry and death <= now do
        redis.call('LREM', prefix .. 'queue:' .. queue, 1, entry)
        count_dropped(queue, 'expired', 1)
        entry, death = oldest_message(queue)
    end
    return death
end

local function append(queue, body, death, life)
    local key = prefix .. 'queue:' .. queue
    local length = redis.call('RPUSH', key, string.format('%013d', death) .. body)
    redis.call('PEXPIRE', key, life)
    return length
end

-- What nobody reads is found by the time of its death; process queues are looked after as a whole.
local function append_message(queue, body, expiry, life)
    if append(queue, body, now + expiry, life) == 1 and not is_process_queue(queue) then
        redis.call('ZADD', prefix .. 'deaths', now + expiry, queue)
    end
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
    redis.call('DEL', prefix .. 'joins:' .. queue)
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

local function has_ended(queue)
    return redis.call('EXISTS', prefix .. 'ended:' .. queue) == 1
end

-- Messages for it may still come: SWEEP looks after them.
local function set_ended(queue)
    redis.call('SET', prefix .. 'ended:' .. queue, '1', 'PX', 3600000)
    redis.call('ZADD', prefix .. 'deaths', now, queue)
end

local function drop_queue_of_ended(queue)
    local left = count_messages(queue)
    if left > 0 then
        count_dropped(queue, 'its interface process has ended', left)
    end
    redis.call('DEL', prefix .. 'queue:' .. queue, prefix .. 'changes:' .. queue)
end

-- What is left of an interface process that has ended.
local function forget_process(queue)
    leave_all(queue)
    drop_queue_of_ended(queue)
    redis.call('DEL', prefix .. 'wills:' .. queue)
    redis.call('HDEL', prefix .. 'capacity', queue)
    redis.call('ZREM', prefix .. 'processes', queue)
end
"""


class Script:
    """
    A script, sent by its digest; the store asks for the text when it does not know it.

    A store without memory refuses it before its first step, unless it ``frees_memory`` or needs as good as none.
    """

    def __init__(self, body: str, frees_memory: bool = False) -> None:
        self.text = (("#!lua flags=allow-oom\n" if frees_memory else "#!lua\n") + _HEAD + body).encode()
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    def by_digest(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Return the command that runs the script if the store knows it."""
        return ("EVALSHA", self.digest, 0, *arguments)

    def by_text(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        """Return the command that runs the script, and makes the store know it."""
        return ("EVAL", self.text, 0, *arguments)
