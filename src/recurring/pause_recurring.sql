-- Pauses the recurring message $2 of topic $1. One that is paused stays so since when it was. The
-- time is read once.
UPDATE outtray.recurring
SET paused_at = coalesce(recurring.paused_at, clock.now)
FROM (SELECT now() AS now) AS clock
WHERE recurring.topic = $1::text
    AND recurring.name = $2::text
