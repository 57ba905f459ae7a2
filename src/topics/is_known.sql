-- Returns whether there is anything of topic $1: a message that is ready, in work or scheduled; or,
-- unless messages $2 alone are asked for, a dead letter, a row of its own, a receiver, a message
-- that recurs, a subscription, a dedupe key, or how a message ended.
-- Index: the primary keys, each the first row in its order. What is found first ends the search.
SELECT
    (
        SELECT true FROM outtray.message WHERE message.topic = $1::text
        ORDER BY message.topic, message.rank, message.seq LIMIT 1
    ) IS NOT NULL
    OR (
        SELECT true FROM outtray.scheduled WHERE scheduled.topic = $1::text
        ORDER BY scheduled.topic, scheduled.id LIMIT 1
    ) IS NOT NULL
    OR (
        SELECT true FROM outtray.follower WHERE follower.topic = $1::text
        ORDER BY follower.topic, follower.key, follower.seq LIMIT 1
    ) IS NOT NULL
    OR (NOT $2::boolean AND (
        (
            SELECT true FROM outtray.dead_letter WHERE dead_letter.topic = $1::text
            ORDER BY dead_letter.topic, dead_letter.id LIMIT 1
        ) IS NOT NULL
        OR (SELECT true FROM outtray.topic WHERE topic.topic = $1::text) IS NOT NULL
        OR (
            SELECT true FROM outtray.worker WHERE worker.topic = $1::text
            ORDER BY worker.topic, worker.id LIMIT 1
        ) IS NOT NULL
        OR (
            SELECT true FROM outtray.recurring WHERE recurring.topic = $1::text
            ORDER BY recurring.topic, recurring.name LIMIT 1
        ) IS NOT NULL
        OR (
            SELECT true FROM outtray.subscription WHERE subscription.topic = $1::text
            ORDER BY subscription.topic, subscription.pattern LIMIT 1
        ) IS NOT NULL
        OR (
            SELECT true FROM outtray.dedupe WHERE dedupe.topic = $1::text
            ORDER BY dedupe.topic, dedupe.key LIMIT 1
        ) IS NOT NULL
        OR (
            SELECT true FROM outtray.outcome WHERE outcome.topic = $1::text
            ORDER BY outcome.topic, outcome.id LIMIT 1
        ) IS NOT NULL
    )) AS is_there
