-- Returns messages of topic $1 in the place $2 (ready, scheduled, behind, dead, kept), with all
-- that is known of them: each by its id $3 and by its key there, ranks $4, seqs $5, keys $6,
-- segments $7. Those that are not there any more are left out. Index: the primary keys, and
-- log_entry_seq.
SELECT
    asked.number, found.rank, found.id, found.attempts, found.key, found.dedupe_key, found.error, found.reason,
    found.on_end, found.holder, found.is_leased, found.is_endless,
    (extract(epoch FROM least(greatest(found.sent_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS sent_at_us,
    -- Without a time, greatest() and least() would take the other value.
    CASE WHEN found.due_at IS NOT NULL THEN (extract(epoch FROM least(greatest(found.due_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS due_at_us,
    CASE
        WHEN found.due_at IS NOT NULL
        -- The clock is asked once: it goes on between two looks.
        THEN greatest((extract(epoch FROM
            least(greatest(found.due_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00') - clock_timestamp()
        ) * 1000000::numeric)::bigint, 0::bigint)
    END AS due_in_us,
    CASE WHEN found.expires_at IS NOT NULL THEN (extract(epoch FROM least(greatest(found.expires_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS expires_at_us,
    CASE WHEN found.died_at IS NOT NULL THEN (extract(epoch FROM least(greatest(found.died_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS died_at_us,
    EXISTS (
        SELECT
        FROM outtray.cancellation
        WHERE cancellation.topic = $1::text
            AND cancellation.id = found.id
    ) AS is_cancelled,
    ARRAY(
        SELECT dependency.on_id
        FROM outtray.dependency
        WHERE dependency.topic = $1::text
            AND dependency.id = found.id
        ORDER BY dependency.on_id
        LIMIT 100
    ) AS after,
    found.failures, found.headers, found.payload, found.body
FROM unnest($3::uuid[], $4::smallint[], $5::bigint[], $6::text[], $7::bigint[])
    WITH ORDINALITY AS asked (id, rank, seq, key, segment, number)
CROSS JOIN LATERAL (
    SELECT
        message.id, message.rank, message.attempts, message.key, NULL::text AS dedupe_key, NULL::text AS error, NULL::text AS reason,
        -- Who locks a row writes its number there, and nobody wipes it out.
        message.on_end, nullif(message.xmax::text, '0'::text) AS holder, false AS is_leased, false AS is_endless,
        message.sent_at, CASE WHEN message.not_before > now() THEN message.not_before END AS due_at, message.expires_at,
        NULL::timestamptz AS died_at, message.failures::text, message.headers::text, message.payload::text, message.body
    FROM outtray.message
    WHERE $2::text = 'ready'
        AND message.topic = $1::text
        AND message.rank = asked.rank
        AND message.seq = asked.seq
        AND message.id = asked.id
    UNION ALL
    SELECT
        scheduled.id, scheduled.rank, scheduled.attempts, scheduled.key, NULL, scheduled.error, NULL,
        scheduled.on_end, NULL, scheduled.receipt IS NOT NULL, scheduled.due_at = 'infinity',
        scheduled.sent_at, CASE WHEN scheduled.due_at < 'infinity' THEN scheduled.due_at END, scheduled.expires_at,
        NULL, scheduled.failures::text, scheduled.headers::text, scheduled.payload::text, scheduled.body
    FROM outtray.scheduled
    WHERE $2::text = 'scheduled'
        AND scheduled.topic = $1::text
        AND scheduled.id = asked.id
    UNION ALL
    SELECT
        follower.id, follower.rank, follower.attempts, follower.key, NULL, NULL, NULL,
        follower.on_end, NULL, false, false,
        follower.sent_at, NULL, follower.expires_at,
        NULL, follower.failures::text, follower.headers::text, follower.payload::text, follower.body
    FROM outtray.follower
    WHERE $2::text = 'behind'
        AND follower.topic = $1::text
        AND follower.key = asked.key
        AND follower.seq = asked.seq
        AND follower.id = asked.id
    UNION ALL
    SELECT
        dead_letter.id, dead_letter.rank, dead_letter.attempts, dead_letter.key, dead_letter.dedupe_key, dead_letter.error, dead_letter.reason,
        dead_letter.on_end, NULL, false, false,
        dead_letter.sent_at, NULL, dead_letter.expires_at,
        dead_letter.died_at, dead_letter.failures::text, dead_letter.headers::text, dead_letter.payload::text, dead_letter.body
    FROM outtray.dead_letter
    WHERE $2::text = 'dead'
        AND dead_letter.topic = $1::text
        AND dead_letter.id = asked.id
    UNION ALL
    SELECT
        log_entry.id, 0::smallint, 0::smallint, log_entry.key, NULL, NULL, NULL,
        NULL, NULL, false, false,
        log_entry.sent_at, NULL, NULL,
        NULL, NULL, log_entry.headers::text, log_entry.payload::text, log_entry.body
    FROM outtray.log_entry
    WHERE $2::text = 'kept'
        AND log_entry.segment = asked.segment
        AND log_entry.seq + 0 = asked.seq
        AND log_entry.topic = $1::text
        AND log_entry.id = asked.id
) AS found
ORDER BY asked.number
