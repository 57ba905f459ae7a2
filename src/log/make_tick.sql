-- Makes a tick of the log $1 if there is something new; see `log_make_tick`, which $2 and $3 are
-- for.
SELECT made.newest, made.has_strays
FROM outtray.log_make_tick($1::text, $2::boolean, $3::boolean) AS made
