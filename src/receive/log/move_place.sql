-- Moves lane $3 of reader $2 of the log $1 from the place with number $4 to tick $5 and number $6,
-- with $8 entries after it, at most, in the hands of $7 (NULL: nobody), alone if $9 is 1, after so
-- many deaths $10. The caller holds the lane's lock; fails if the place has moved all the same.
-- Index: the primary key.
WITH before AS (
    DELETE FROM outtray.log_place
    WHERE log_place.topic = $1::text
        AND log_place.reader = $2::text
        AND log_place.lane = $3::bigint
        AND log_place.moved = $4::bigint
    RETURNING log_place.moved
),
moved AS (
    INSERT INTO outtray.log_place
        (topic, reader, lane, moved, tick, seq, holder, in_hand, is_alone, deaths)
    VALUES (
        $1::text, $2::text, $3::bigint, $4::bigint + 1, $5::bigint, $6::bigint,
        $7::bigint, $8::bigint, $9::bigint = 1, $10::bigint
    )
)
SELECT outtray.miscounted(0, 1)
WHERE NOT EXISTS (SELECT FROM before)
