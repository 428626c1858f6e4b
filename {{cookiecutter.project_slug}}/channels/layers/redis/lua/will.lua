    if will == '' then
        redis.call('HDEL', prefix .. 'wills:' .. process, member)
    else
        redis.call('HSET', prefix .. 'wills:' .. process, member, will)
    end
