-- Notes a change under the id $2: on topic $1 operator $3 did from $4 what $5 says, to $6 messages,
-- the first of which are $7, with details $8. A change in several transactions is noted by each of
-- them: its messages add up.
INSERT INTO outtray.change (topic, id, operator, address, what, messages, ids, details)
VALUES (
    $1::text, $2::uuid, $3::text, $4::text, $5::text, $6::bigint, $7::uuid[], $8::text::json
)
ON CONFLICT (topic, id) DO UPDATE
SET messages = change.messages + excluded.messages
