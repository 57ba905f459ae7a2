-- Takes the room of $2 messages off the used room of topic $1, which the transaction took and did
-- not need. If the number is not $3, the one that it left there, then something undid what it took,
-- or used more of it: nothing is taken off.
UPDATE outtray.room
SET used = room.used - $2::bigint
WHERE room.topic = $1::text
    AND room.used = $3::bigint
