-- Drops all that migrations make, by name: what is not outtray's stays, and then so does all else.
DROP TABLE
    outtray.attempt, outtray.bucket, outtray.cancellation, outtray.dead_letter, outtray.dedupe, outtray.dependency,
    outtray.follower, outtray.hand, outtray.lane, outtray.message, outtray.migration, outtray.outcome, outtray.recurring,
    outtray.room, outtray.scheduled, outtray.slot, outtray.stalled, outtray.topic, outtray.turn, outtray.vacated, outtray.worker
    RESTRICT;
DROP SEQUENCE IF EXISTS outtray.message_seq, outtray.vacated_seq, outtray.worker_seq RESTRICT;
DROP FUNCTION outtray.matches(json, text[], text[], jsonb[]), outtray.miscounted(bigint, bigint) RESTRICT
