-- Which SQL functions this schema has.

-- One row for each function, with the checksum of its text, and the release that it is of.
-- `migrate` replaces what differs, unless it is of a later release.
CREATE TABLE outtray.function (
    name text COLLATE "C" PRIMARY KEY,
    checksum text NOT NULL,
    release integer[] NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT now()
);
