"""The SQL run log store: a row per run, step, branch and parameter, on SQLite or PostgreSQL."""
