-- Removes the handled message of topic $1 with rank $2 and seq $3. The caller holds its lock. The
-- same as `acknowledge` for one, without its join and its count: asking whether there is a row
-- costs a microsecond, counting six.
WITH removed AS (
    DELETE FROM outtray.message
    WHERE message.topic = $1::text
        AND message.rank = $2::smallint
        AND message.seq = $3::bigint
    RETURNING message.seq
)
SELECT outtray.miscounted(0, 1)
WHERE NOT EXISTS (SELECT FROM removed)
