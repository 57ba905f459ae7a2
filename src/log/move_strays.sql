-- Moves up to $2 messages that lie among those of queues into the log $1; see `log_move_strays`.
SELECT outtray.log_move_strays($1::text, $2::bigint) AS moved
