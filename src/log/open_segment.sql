-- Has entries of the log $1 written into another segment than $2, unless they are already; see
-- `log_open_segment`. Makes the log where $2 is NULL.
SELECT outtray.log_open_segment($1::text, $2::bigint) AS segment
