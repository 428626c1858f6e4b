#!lua flags=allow-oom
-- ARGV: process queue; then pairs of local part and last will ('' to forget it).
-- include start
for i = 6, #ARGV, 2 do
    local process, member, will = ARGV[5], ARGV[i], ARGV[i + 1]
    -- include will
end
