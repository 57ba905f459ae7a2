-- Which migrations this schema has. Made before the first one, so that each can be recorded.
CREATE TABLE IF NOT EXISTS outtray.migration (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
