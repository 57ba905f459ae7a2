-- Removes handled messages of topic $1 by their full keys: ranks $2, seqs $3. The caller holds
-- their locks. All of a key comes from the same rows, behind a fence (OFFSET 0), and the topic is
-- compared with an array of it: so no plan leaves a column out, or reads the index as a whole to
-- merge it. A topic that is compared with the parameter could be looked up alone, by statistics of
-- a moment when the table was nearly empty (measured: 8 ms a message instead of 2.4 µs). One walk
-- from the first to the last of each rank finds all, as in `lease`: a claim walked there, and what
-- lies between is in the hands of others. One that is not there any more fails the transaction:
-- what its handler did must not stay without it. Index: the primary key.
WITH handled AS MATERIALIZED (
    SELECT given.rank, given.seq
    FROM unnest($2::smallint[], $3::bigint[]) AS given (rank, seq)
),
removed AS (
    DELETE FROM outtray.message
    USING (
        SELECT $1::text AS topic, handled.rank, min(handled.seq) AS first, max(handled.seq) AS last
        FROM handled
        GROUP BY handled.rank
        OFFSET 0
    ) AS walk
    WHERE message.topic = ANY (ARRAY[walk.topic])
        AND message.rank = walk.rank
        AND message.seq >= walk.first
        AND message.seq <= walk.last
        AND ((message.rank, message.seq) IN (SELECT handled.rank, handled.seq FROM handled)) IS TRUE
    RETURNING message.seq
)
SELECT outtray.miscounted(count(*), pg_catalog.cardinality($3::bigint[]))
FROM removed
HAVING count(*) <> pg_catalog.cardinality($3::bigint[])
