-- Of this database, by PostgreSQL's own statistics: milliseconds in which a backend was at work or waited for a lock, a
-- disk or a processor; and transactions.
SELECT active_time, xact_commit FROM pg_stat_database WHERE datname = current_database()
