"""The script that runs for every message. So its usual case comes first, and defines no function."""

from __future__ import annotations

from .script import FUNCTIONS, Script

# ARGV: prefix, expiry, group expiry, default capacities of channels and of process queues, life of the counts; the
# channel of a message that is done, or ''; then for each send
#     'c', queue, capacity, packed entry
#     'w', the same, and the process queue, local part and last will ('' to forget that) of the connection that it opens
#          or closes
#     'g', group, packed entry
# Returns, for each send that has found a full queue, its number and these queues, joined by blanks.
SEND = Script(
    """
local expiry, life = tonumber(ARGV[2]), ARGV[6]

if ARGV[7] ~= '' then
    local key = prefix .. 'counts:' .. ARGV[7]
    if redis.call('HINCRBY', key, 'done', 1) % 64 == 1 then
        redis.call('PEXPIRE', key, life)
    end
end

local i, number, missed = 8, 0, {}
local stamp = string.format('%013d', now + expiry)
while ARGV[i] == 'c' or ARGV[i] == 'w' do
    local queue = ARGV[i + 1]
    local key = prefix .. 'queue:' .. queue
    local length = redis.call('RPUSH', key, stamp .. ARGV[i + 3])
    if length > tonumber(ARGV[i + 2]) then
        -- Not all that it holds may count, and some may have died.
        redis.call('RPOP', key)
        break
    end
    local is_first = length == 1
    if string.sub(queue, -1) == '!' then
        -- It also holds changes of memberships, which outlive messages, and how many is counted until it is empty.
        redis.call('PEXPIRE', key, ARGV[3])
        if is_first then
            redis.call('DEL', prefix .. 'changes:' .. queue)
        end
    else
        redis.call('PEXPIRE', key, 3 * expiry)
        if is_first then
            redis.call('ZADD', prefix .. 'deaths', now + expiry, queue)
        end
        local counts = prefix .. 'counts:' .. string.match(queue, '^[^?]*[?]?')
        -- Less than a message a minute renews nothing here for long: then SWEEP does.
        if redis.call('HINCRBY', counts, 'sent', 1) % 64 == 1 then
            redis.call('PEXPIRE', counts, life)
        end
    end
    if ARGV[i] == 'w' then
        if ARGV[i + 6] == '' then
            redis.call('HDEL', prefix .. 'wills:' .. ARGV[i + 4], ARGV[i + 5])
        else
            redis.call('HSET', prefix .. 'wills:' .. ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
        end
        i = i + 3
    end
    i, number = i + 4, number + 1
end
if not ARGV[i] then
    return missed
end
"""
    + FUNCTIONS
    + """
local full = {}

local function push(queue, capacity, body)
    if count_messages(queue) >= capacity then
        drop_dead(queue)
        if count_messages(queue) >= capacity then
            return false
        end
    end
    append_message(queue, body, expiry, is_process_queue(queue) and ARGV[3] or 3 * expiry)
    return true
end

-- What a group leads to is counted here; of a message to one channel the sender counts what is not counted above.
local function count_taken(queue, to_group)
    if to_group or not is_process_queue(queue) then
        count(queue, 'sent', 1)
    end
    if to_group then
        count(queue, 'rate:sent', 1)
    end
end

local function broadcast(group, body)
    local key = prefix .. 'group:' .. group
    local without = {}
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    for _, queue in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        if not is_abandoned(queue) then
            local own = redis.call('HGET', prefix .. 'capacity', queue)
            if not push(queue, tonumber(own or ARGV[is_process_queue(queue) and 5 or 4]), body) then
                without[#without + 1] = queue
                count_full(queue)
                count(queue, 'dropped:full, group message', 1)
            else
                count_taken(queue, true)
            end
        end
    end
    return table.concat(without, ' ')
end

local function miss(queues)
    missed[#missed + 1] = number
    missed[#missed + 1] = queues
end

while ARGV[i] do
    local name = ARGV[i + 1]
    if ARGV[i] == 'g' then
        local queues = broadcast(name, ARGV[i + 2])
        if queues ~= '' then
            miss(queues)
        end
        i = i + 3
    else
        if full[name] or not push(name, tonumber(ARGV[i + 2]), ARGV[i + 3]) then
            full[name] = true
            count_full(name)
            miss(name)
        else
            count_taken(name, false)
            if ARGV[i] == 'w' then
                set_will(ARGV[i + 4], ARGV[i + 5], ARGV[i + 6])
            end
        end
        i = i + (ARGV[i] == 'w' and 7 or 4)
    end
    number = number + 1
end
save_counts(life)
return missed
"""
)
