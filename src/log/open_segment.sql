-- Makes a segment of the log $1, and the log if there is none; see `log_open_segment`.
SELECT outtray.log_open_segment($1::text) AS segment
