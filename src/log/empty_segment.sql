-- Empties the segment $2 of the log $1; see `log_empty_segment`.
SELECT outtray.log_empty_segment($1::text, $2::bigint) AS is_empty
