#!lua
-- ARGV: the channel of a message that is done, or ''; default capacities of channels and of process queues; then for each
-- send
--     'c', queue, capacity, packed entry
--     'w', the same, and the process queue, local part and last will ('' to forget that) of the connection that it opens
--          or closes
--     'g', group, packed entry
-- Returns, for each send that has found a full queue, its number and these queues, joined by blanks.
-- It runs for every message: so the usual case comes first, and the functions are defined below it.
-- include start

if ARGV[5] ~= '' then
    local queue, figure, amount = ARGV[5], 'done', 1
    -- include count
end

local stamp = string.format('%013d', now + expiry)
local i, number, missed = 8, 0, {}
while ARGV[i] == 'c' or ARGV[i] == 'w' do
    local queue, entry, most = ARGV[i + 1], stamp .. ARGV[i + 3], tonumber(ARGV[i + 2])
    -- include push
    if not is_taken then
        -- Not all that it holds may count, and some may have died.
        break
    end
    if ARGV[i] == 'w' then
        local process, member, will = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6]
        -- include will
        i = i + 3
    end
    i, number = i + 4, number + 1
end
if not ARGV[i] then
    return missed
end

-- include counts, queues, groups

local function has_room(queue, capacity)
    if count_messages(queue) < capacity then
        return true
    end
    drop_dead(queue)
    return count_messages(queue) < capacity
end

local function count_full(queue)
    count(queue, 'full', 1)
    count_rate(queue, 'full', 1)
end

local function broadcast(group, body)
    local key = prefix .. 'group:' .. group
    local without = {}
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    for _, queue in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        if not is_abandoned(queue) then
            local of_process = is_process_queue(queue)
            local own = redis.call('HGET', prefix .. 'capacity', queue)
            if has_room(queue, tonumber(own or ARGV[of_process and 7 or 6])) then
                push(queue, stamp .. body)
                if of_process then
                    count(queue, 'sent', 1)
                end
                count_rate(queue, 'sent', 1)
            else
                without[#without + 1] = queue
                count_full(queue)
                count(queue, 'dropped:full, group message', 1)
            end
        end
    end
    return table.concat(without, ' ')
end

local full = {}
while ARGV[i] do
    local kind, name, without = ARGV[i], ARGV[i + 1], ''
    if kind == 'g' then
        without = broadcast(name, ARGV[i + 2])
    elseif full[name] or not has_room(name, tonumber(ARGV[i + 2])) then
        full[name] = true
        count_full(name)
        without = name
    else
        push(name, stamp .. ARGV[i + 3])
        if kind == 'w' then
            local process, member, will = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6]
            -- include will
        end
    end
    if without ~= '' then
        missed[#missed + 1] = number
        missed[#missed + 1] = without
    end
    i, number = i + (kind == 'g' and 3 or kind == 'w' and 7 or 4), number + 1
end
return missed
