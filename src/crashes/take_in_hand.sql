-- Notes that worker $3 of receiver $2 of topic $1 has messages $4 in hand; $5 says whether the one
-- there is runs alone.
INSERT INTO outtray.hand (topic, holder, worker, ids, is_alone)
VALUES ($1::text, $2::bigint, $3::integer, $4::uuid[], $5::boolean)
ON CONFLICT (topic, holder, worker) DO UPDATE
SET ids = excluded.ids, is_alone = excluded.is_alone
