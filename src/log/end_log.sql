-- Ends the log $1, which holds nothing; see `log_end`.
SELECT outtray.log_end($1::text) AS is_ended
