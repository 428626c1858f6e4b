#!lua flags=allow-oom
-- ARGV: for each count its channel, its figure (those that begin with 'rate:' are for the second that runs) and its
-- number.
-- include start, counts
for i = 5, #ARGV, 3 do
    local channel, figure, number = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
    local rate = string.match(figure, '^rate:(.*)')
    if rate then
        count_rate(channel, rate, number)
    else
        count(channel, figure, number)
    end
    if figure == 'done' then
        redis.call('HSET', prefix .. 'counts:' .. channel, 'last', now)
        redis.call('PEXPIRE', prefix .. 'counts:' .. channel, life)
    end
end
