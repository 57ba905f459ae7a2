-- Returns where entry $1 of the logs from $2 to $3 is, looked for where an entry of its time should
-- be, as `locate_ready` looks for messages: in each segment that is in use, a thousand at most, it
-- halves the numbers until $4 are left, and reads those with $4 on either side. Index:
-- log_entry_seq.
SELECT 'kept' AS place, known.topic, 0::smallint AS rank, found.seq, NULL::text AS key, known.segment
FROM (
    SELECT log_segment.topic, log_segment.segment
    FROM outtray.log_segment
    WHERE log_segment.opened_at IS NOT NULL
        AND log_segment.topic BETWEEN $2::text AND $3::text
    LIMIT 1000
) AS known
CROSS JOIN LATERAL (
    WITH RECURSIVE span AS (
        SELECT
            (
                SELECT log_entry.seq + 0 FROM outtray.log_entry
                WHERE log_entry.segment = known.segment
                ORDER BY log_entry.seq + 0
                LIMIT 1
            ) AS low,
            (
                SELECT log_entry.seq + 0 FROM outtray.log_entry
                WHERE log_entry.segment = known.segment
                ORDER BY log_entry.seq + 0 DESC
                LIMIT 1
            ) AS high,
            1 AS step
        UNION ALL
        SELECT
            CASE WHEN probe.id < $1::uuid THEN least(probe.seq, span.high) ELSE span.low END,
            CASE
                WHEN probe.id < $1::uuid THEN span.high
                WHEN probe.id = $1::uuid THEN probe.seq
                ELSE span.low + (span.high - span.low) / 2
            END,
            span.step + 1
        FROM span
        CROSS JOIN LATERAL (
            SELECT log_entry.seq, log_entry.id
            FROM outtray.log_entry
            WHERE log_entry.segment = known.segment
                AND log_entry.seq + 0 >= span.low + (span.high - span.low) / 2
            ORDER BY log_entry.seq + 0
            LIMIT 1
        ) AS probe
        WHERE span.high - span.low > $4::bigint
            AND span.step < 70
    )
    SELECT span.low, span.high FROM span ORDER BY span.step DESC LIMIT 1
) AS near
CROSS JOIN LATERAL (
    SELECT log_entry.seq
    FROM outtray.log_entry
    WHERE log_entry.segment = known.segment
        AND log_entry.seq + 0 BETWEEN near.low - $4::bigint AND near.high + $4::bigint
        AND log_entry.topic = known.topic
        AND log_entry.id = $1::uuid
    LIMIT 1
) AS found
