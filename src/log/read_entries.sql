-- Returns the entries of the log $1, in its segments $2, that one tick sees and an earlier one does
-- not, up to $10 of each kind. First those of transactions from $3 on that the snapshot $4 sees,
-- with numbers after $5 and up to $6, in their order. Then those of the transactions $7, which were
-- at work at the earlier tick, with numbers after $8 and up to $6, in their order. Only those of
-- lane $9[1] of $9[2], by their keys, unless that is NULL. One row of NULLs if entries of the tick
-- $11 are gone. Index: log_entry_seq and log_entry_tx. It is planned each time, for these segments
-- alone. The caller asks for no wider a range of numbers than it wants entries, nearly: whichever
-- way they are found, few are sorted.
(
    SELECT
        log_entry.tx, log_entry.seq, log_entry.id, log_entry.sent_at, log_entry.key,
        log_entry.headers, log_entry.payload, log_entry.body
    FROM outtray.log_entry
    WHERE log_entry.segment = ANY ($2::bigint[])
        AND (log_entry.seq + 0) > $5::bigint
        AND (log_entry.seq + 0) <= $6::bigint
        AND (log_entry.tx >= $3::text::xid8) IS TRUE
        AND pg_visible_in_snapshot(log_entry.tx, $4::text::pg_snapshot)
        AND log_entry.topic = $1::text
        AND (
            $9::bigint[] IS NULL
            OR (hashtextextended(coalesce(log_entry.key, log_entry.id::text), 0::bigint) & 9223372036854775807)
                % ($9::bigint[])[2] = ($9::bigint[])[1]
        )
    ORDER BY log_entry.seq + 0
    LIMIT $10::bigint
)
UNION ALL
(
    SELECT
        late.tx, late.seq, late.id, late.sent_at, late.key, late.headers, late.payload, late.body
    FROM pg_catalog.unnest($7::text[]) AS done (tx)
    -- By the limit one after the other, and no further in each than is asked for.
    CROSS JOIN LATERAL (
        SELECT
            log_entry.tx, log_entry.seq, log_entry.id, log_entry.sent_at, log_entry.key,
            log_entry.headers, log_entry.payload, log_entry.body
        FROM outtray.log_entry
        WHERE log_entry.segment = ANY ($2::bigint[])
            AND log_entry.tx = done.tx::xid8
            AND log_entry.seq > $8::bigint
            AND log_entry.seq <= $6::bigint
            AND log_entry.topic = $1::text
            AND (
                $9::bigint[] IS NULL
                OR (hashtextextended(coalesce(log_entry.key, log_entry.id::text), 0::bigint) & 9223372036854775807)
                    % ($9::bigint[])[2] = ($9::bigint[])[1]
            )
        ORDER BY log_entry.tx, log_entry.seq
        LIMIT $10::bigint
    ) AS late
    ORDER BY late.seq
    LIMIT $10::bigint
)
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
WHERE (SELECT log.begins FROM outtray.log WHERE log.topic = $1::text AND log.begins <= $11::bigint) IS NULL
