-- Notes that worker $3 of receiver $2 of topic $1 has nothing in hand any more.
UPDATE outtray.hand
SET ids = '{}', is_alone = false
WHERE hand.topic = $1::text
    AND hand.holder = $2::bigint
    AND hand.worker = $3::integer
