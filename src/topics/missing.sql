-- Returns which of the messages $1 are nowhere here: neither waiting in any way nor dead letters,
-- nor known to have ended, nor entries of a log. Reads whole tables: for after a failover, not for
-- every day.
SELECT asked.id
FROM pg_catalog.unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place)
WHERE NOT EXISTS (SELECT FROM outtray.message WHERE message.id = asked.id)
    AND NOT EXISTS (SELECT FROM outtray.scheduled WHERE scheduled.id = asked.id)
    AND NOT EXISTS (SELECT FROM outtray.follower WHERE follower.id = asked.id)
    AND NOT EXISTS (SELECT FROM outtray.dead_letter WHERE dead_letter.id = asked.id)
    AND NOT EXISTS (SELECT FROM outtray.outcome WHERE outcome.id = asked.id)
    AND NOT EXISTS (SELECT FROM outtray.log_entry WHERE log_entry.id = asked.id)
ORDER BY asked.place
