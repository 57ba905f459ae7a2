-- Removes handled messages of topic $1 by their full keys: ranks $2, seqs $3. The caller holds
-- their locks. All of a key comes from the same rows, behind a fence (OFFSET 0), and the topic is
-- compared with an array of it: so no plan leaves a column out, or reads the index as a whole to
-- merge it. A topic that is compared with the parameter could be looked up alone, by statistics of
-- a moment when the table was nearly empty (measured: 8 ms a message instead of 2.4 µs). One that
-- is not there any more fails the transaction: what its handler did must not stay without it.
-- Index: the primary key.
WITH removed AS (
    DELETE FROM outtray.message
    USING (
        SELECT $1::text AS topic, given.rank, given.seq
        FROM unnest($2::smallint[], $3::bigint[]) AS given (rank, seq)
        OFFSET 0
    ) AS handled
    WHERE message.topic = ANY (ARRAY[handled.topic])
        AND message.rank = handled.rank
        AND message.seq = handled.seq
    RETURNING message.seq
)
SELECT outtray.miscounted(count(*), pg_catalog.cardinality($3::bigint[]))
FROM removed
HAVING count(*) <> pg_catalog.cardinality($3::bigint[])
