-- What every script begins with. Times are milliseconds of the store's own clock; no client's clock decides anything.
-- ARGV: prefix, expiry, group expiry, life of the counts; then what the script itself says.
local prefix, expiry, group_expiry, life = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- The part of a channel's name that many channels share, by which they are counted.
local SHARED = '^[^?]*[?]?'
