-- Returns whether this role sees what the sessions of other roles do.
SELECT pg_has_role(session_user, 'pg_read_all_stats'::name, 'USAGE') AS sees_all
