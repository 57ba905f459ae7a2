-- Makes a tick of the log $1 if there is something new, or if it is forced ($2); see
-- `log_make_tick`.
SELECT made.newest, made.has_strays FROM outtray.log_make_tick($1::text, $2::boolean) AS made
