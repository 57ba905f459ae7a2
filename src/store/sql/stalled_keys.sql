-- Returns up to $1 stalled keys with whether they have lanes; in no order, so that those whose lanes are held for long
-- do not keep others out.
SELECT named.topic, named.key, EXISTS (
    SELECT FROM outtray.lane WHERE lane.topic = named.topic AND lane.key = named.key
) AS has_lane
FROM (
    SELECT known.topic, known.key
    FROM (SELECT DISTINCT stalled.topic, stalled.key FROM outtray.stalled) AS known
    ORDER BY random()
    LIMIT $1::bigint
) AS named
