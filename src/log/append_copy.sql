-- Writes entries that follow in the binary format of COPY, in order.
COPY outtray.log_entry (topic, segment, id, key, headers, payload, body) FROM STDIN (FORMAT binary)
