-- Lets no more be written into the segment $2 of the log $1; see `log_seal_segment`.
SELECT outtray.log_seal_segment($1::text, $2::bigint) AS is_sealed
