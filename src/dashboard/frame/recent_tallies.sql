-- Returns how many messages of each of the topics $1 were handled in the last $2 minutes that are
-- over. Index: the primary key.
SELECT
    mine.topic,
    (
        SELECT coalesce(sum(tally.done), 0)::bigint
        FROM outtray.tally
        WHERE tally.topic = mine.topic
            AND tally.minute >= pg_catalog.floor(extract(epoch FROM now()) / 60::numeric)::bigint - $2::bigint
            AND tally.minute < pg_catalog.floor(extract(epoch FROM now()) / 60::numeric)::bigint
    ) AS done
FROM pg_catalog.unnest($1::text[]) AS mine (topic)
