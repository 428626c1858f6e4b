#!lua flags=allow-oom
-- ARGV: process queue. For a process that has told the end of all its connections itself.
-- include start, counts, queues, groups, ends, processes
set_ended(ARGV[5])
forget_process(ARGV[5])
