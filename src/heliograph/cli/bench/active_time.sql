-- Milliseconds spent on statements in this database, by PostgreSQL's own statistics.
SELECT active_time FROM pg_stat_database WHERE datname = current_database()
