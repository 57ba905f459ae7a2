-- What was applied. Made before the first migration, so that each can be recorded.
CREATE TABLE IF NOT EXISTS outtray.migration (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
