-- Drops all that migrations make, by name: what is not outtray's stays, and then so does all else.
DROP TABLE
    outtray.attempt, outtray.bucket, outtray.cancellation, outtray.change, outtray.dead_letter, outtray.dedupe, outtray.dependency,
    outtray.follower, outtray.function, outtray.hand, outtray.history, outtray.lane, outtray.log, outtray.log_entry, outtray.log_lane, outtray.log_place,
    outtray.log_reader, outtray.log_segment, outtray.log_tick, outtray.message, outtray.migration, outtray.outcome, outtray.recurring,
    outtray.room, outtray.scheduled, outtray.slot, outtray.stalled, outtray.subscription,
    outtray.subscription_version, outtray.tally, outtray.topic, outtray.turn, outtray.vacated, outtray.worker
    RESTRICT;
DROP SEQUENCE IF EXISTS outtray.log_segment_seq, outtray.log_seq, outtray.message_seq, outtray.vacated_seq, outtray.worker_seq RESTRICT;
DROP FUNCTION outtray.error_shape(text), outtray.history_prune(), outtray.log_begin_era(text), outtray.log_empty_segment(text, bigint), outtray.log_end(text), outtray.log_has_news(text),
    outtray.log_make_tick(text, boolean), outtray.log_move_strays(text, bigint), outtray.log_open_segment(text, bigint),
    outtray.log_seal_segment(text, bigint), outtray.log_server(),
    outtray.matches(json, text[], text[], jsonb[]), outtray.miscounted(bigint, bigint),
    outtray.subscriptions_changed(), outtray.with_failure(jsonb, text, bigint) RESTRICT
