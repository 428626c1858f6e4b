local function forget_worker(worker)
    redis.call('ZREM', prefix .. 'workers', worker)
    redis.call('HDEL', prefix .. 'held', worker)
end
