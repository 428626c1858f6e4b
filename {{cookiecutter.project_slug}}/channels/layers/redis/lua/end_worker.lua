#!lua flags=allow-oom
-- ARGV: worker process. For one that has finished all it had.
-- include start, workers
forget_worker(ARGV[5])
