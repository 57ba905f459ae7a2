//! The list of statements: each is the file of its name in `sql/`.

use crate::store::statement::{Plan, Statement};

macro_rules! statements {
    ($($name:ident = $file:literal, $plan:ident;)*) => {
        $(
            #[cfg_attr(not(feature = "cron"), allow(dead_code, reason = "some are for recurring messages"))]
            pub(crate) static $name: Statement =
                Statement::new($file, include_str!(concat!("sql/", $file, ".sql")), Plan::$plan);
        )*

        #[cfg(test)]
        const ALL: &[&Statement] = &[$(&$name),*];
    };
}

statements! {
    ACKNOWLEDGE = "acknowledge", Keys;
    ACKNOWLEDGE_ONE = "acknowledge_one", Key;
    ASK_HELD = "ask_held", Anew;
    ASK_LEASED = "ask_leased", Anew;
    ASK_REST = "ask_rest", Anew;
    BURY = "bury", Anew;
    BURY_LEASE = "bury_lease", Anew;
    CANCEL_FOLLOWERS = "cancel_followers", Anew;
    CANCEL_READY = "cancel_ready", Anew;
    CANCEL_SCHEDULED = "cancel_scheduled", Anew;
    CANCELLATIONS = "cancellations", Kept;
    CHANGE_DEDUPE = "change_dedupe", Anew;
    CHANGE_ROOM = "change_room", Kept;
    CLAIM = "claim", Head;
    CLAIM_FILTERED = "claim_filtered", Head;
    CLAIM_HEAD = "claim_head", Order;
    CLEAR_DEPENDENCIES = "clear_dependencies", Kept;
    CLOCK = "clock", Kept;
    CONFIG_ACCESS = "config_access", Kept;
    CONFIGS = "configs", Kept;
    CONFIGURE = "configure", Kept;
    CORRECT_RECURRING = "correct_recurring", Kept;
    COUNT_LEASED = "count_leased", Anew;
    COUNT_ROOM = "count_room", Kept;
    CROWDED_ROOMS = "crowded_rooms", Kept;
    DEAD_LETTERS = "dead_letters", Anew;
    DEAD_TOPICS = "dead_topics", Anew;
    DEATHS = "deaths", Anew;
    DEFINE_RECURRING = "define_recurring", Kept;
    DEPEND = "depend", Anew;
    DEPENDENTS = "dependents", Kept;
    DISTANT_RECURRING = "distant_recurring", Kept;
    DROP_LIVENESS = "drop_liveness", Kept;
    DUE_RECURRING = "due_recurring", Kept;
    EMPTY_HAND = "empty_hand", Kept;
    END_CANCELLED = "end_cancelled", Anew;
    END_HELD_LEASE = "end_held_lease", Anew;
    END_HOLDER = "end_holder", Kept;
    END_LEASE = "end_lease", Key;
    END_OUTCOMES = "end_outcomes", Kept;
    END_PROCESSES = "end_processes", Kept;
    END_SUSPICION = "end_suspicion", Kept;
    ENROLL = "enroll", Kept;
    ENSURE_ROOM = "ensure_room", Kept;
    ENSURE_SLOTS = "ensure_slots", Kept;
    ENSURE_TURN = "ensure_turn", Kept;
    ESTIMATE = "estimate", Kept;
    EXPIRE_FOLLOWERS = "expire_followers", Kept;
    EXPIRE_READY = "expire_ready", Kept;
    EXPIRE_SCHEDULED = "expire_scheduled", Kept;
    EXTEND_LEASE = "extend_lease", Key;
    FIND_AGAIN = "find_again", Anew;
    FIND_STALLED = "find_stalled", Kept;
    FIND_VANISHED = "find_vanished", Kept;
    FOLD_SOME_VACATED = "fold_some_vacated", Kept;
    FOLD_VACATED = "fold_vacated", Kept;
    FORGET_ATTEMPTS = "forget_attempts", Kept;
    FORGET_BUCKETS = "forget_buckets", Anew;
    FORGET_DEDUPE = "forget_dedupe", Anew;
    FORGET_OUTCOMES = "forget_outcomes", Kept;
    FORGET_ROOM = "forget_room", Kept;
    FREE_DEDUPE = "free_dedupe", Kept;
    FREE_DEDUPE_OF_DEAD = "free_dedupe_of_dead", Anew;
    GIVE_BACK_LEASE = "give_back_lease", Key;
    GROUP_MEMBERS = "group_members", Anew;
    GROUP_PROGRESS = "group_progress", Anew;
    HOLD = "hold", Anew;
    HOLD_AGAIN = "hold_again", Keys;
    HOLD_DEPENDENTS = "hold_dependents", Kept;
    HOLD_IN_TURN = "hold_in_turn", Anew;
    HOLD_LEASE = "hold_lease", Anew;
    HOLD_LIVENESS = "hold_liveness", Kept;
    HOLD_OUTCOMES = "hold_outcomes", Anew;
    HOLD_WAITING = "hold_waiting", Anew;
    HOLDERS = "holders", Kept;
    HORIZON = "horizon", Anew;
    KEEP_WAIT = "keep_wait", Anew;
    IDENTITY = "identity", Kept;
    IS_KNOWN = "is_known", Anew;
    KNOWN_DEDUPE = "known_dedupe", Anew;
    LEASE = "lease", Order;
    LINE_UP_DUE = "line_up_due", Kept;
    LOCK_CONFIG = "lock_config", Kept;
    LONGEST_AT_WORK = "longest_at_work", Kept;
    LOOK_AT_PROCESSES = "look_at_processes", Kept;
    LOCK_EXPIRED_LANES = "lock_expired_lanes", Kept;
    LOCK_LANES = "lock_lanes", Kept;
    LOCK_ROOM = "lock_room", Kept;
    LOOK_ROOM = "look_room", Kept;
    MAKE_DUE = "make_due", Anew;
    MAKE_LANES = "make_lanes", Kept;
    MARK_LEASED = "mark_leased", Kept;
    MOVE_DUE = "move_due", Kept;
    MOVE_DUE_BETWEEN = "move_due_between", Kept;
    NEXT_DUE = "next_due", Kept;
    NEXT_EXPIRY = "next_expiry", Kept;
    NEXT_RECURRING = "next_recurring", Kept;
    NOTE_SHIFT = "note_shift", Kept;
    NOTIFY = "notify", Kept;
    OLD_OUTCOMES = "old_outcomes", Kept;
    ORPHAN = "orphan", Kept;
    OUTCOMES = "outcomes", Kept;
    OWN_TRANSACTION = "own_transaction", Kept;
    PARK = "park", Anew;
    PAUSE = "pause", Kept;
    PEEK = "peek", Anew;
    PEEK_SCHEDULED = "peek_scheduled", Kept;
    POLL = "poll", Kept;
    POSTPONE_HEAD = "postpone_head", Anew;
    POSTPONE_LEASE = "postpone_lease", Anew;
    PROLONG_LEASE = "prolong_lease", Key;
    PROMOTE = "promote", Keys;
    PROMOTE_FIRST = "promote_first", Kept;
    PRUNE_ATTEMPTS = "prune_attempts", Kept;
    PRUNE_BUCKETS = "prune_buckets", Kept;
    PRUNE_CANCELLATIONS = "prune_cancellations", Kept;
    PRUNE_DEAD = "prune_dead", Kept;
    PRUNE_DEDUPE = "prune_dedupe", Kept;
    PRUNE_HELD_DEDUPE = "prune_held_dedupe", Kept;
    PRUNE_VACATED = "prune_vacated", Kept;
    PURGE = "purge", Kept;
    PURGE_DEAD = "purge_dead", Anew;
    PUT_BACK = "put_back", Anew;
    QUEUED_MATCHING = "queued_matching", Kept;
    RECOUNT_ROOM = "recount_room", Kept;
    RECURRING = "recurring", Kept;
    REDRIVE = "redrive", Anew;
    RELEASE = "release", Kept;
    RELEASE_DEDUPE = "release_dedupe", Anew;
    REMOVE_RECURRING = "remove_recurring", Kept;
    RESCHEDULE = "reschedule", Kept;
    RESET_BUCKET = "reset_bucket", Anew;
    RESUME = "resume", Kept;
    RETRY = "retry", Anew;
    RETURN_TOKENS = "return_tokens", Kept;
    REWIND_WORKERS = "rewind_workers", Kept;
    SCHEDULE = "schedule", Kept;
    SEND = "send", Kept;
    SEND_COPY = "send_copy", Kept;
    SEND_DEDUPED = "send_deduped", Kept;
    SEND_FULL = "send_full", Kept;
    SEND_KEYED = "send_keyed", Keys;
    SEND_ONE = "send_one", Kept;
    SHOW_LIFE = "show_life", Kept;
    SIGN_OFF = "sign_off", Kept;
    STALLED_KEYS = "stalled_keys", Anew;
    STANDING = "standing", Kept;
    STATS = "stats", Kept;
    SUSPECT = "suspect", Kept;
    SUSPICION = "suspicion", Kept;
    TAKE_DEDUPE = "take_dedupe", Keys;
    TAKE_DEDUPE_ONE = "take_dedupe_one", Key;
    TAKE_FREE_SLOTS = "take_free_slots", Kept;
    TAKE_IN_HAND = "take_in_hand", Kept;
    TAKE_LANES = "take_lanes", Order;
    TAKE_ROOM = "take_room", Kept;
    TAKE_SLOTS = "take_slots", Kept;
    TAKE_STALLED = "take_stalled", Anew;
    TAKE_TOKENS = "take_tokens", Kept;
    TAKE_TURN = "take_turn", Kept;
    TOPICS = "topics", Anew;
    TRACK = "track", Kept;
    VACATE = "vacate", Kept;
    WAITING_DEPENDENTS = "waiting_dependents", Kept;
    WAITING_FOR_TIME = "waiting_for_time", Anew;
}

macro_rules! commands {
    ($($name:ident = $file:literal, $sql:literal;)*) => {
        $(pub(crate) static $name: Statement = Statement::new($file, $sql, Plan::Command);)*
    };
}

commands! {
    BEGIN = "begin", "BEGIN ISOLATION LEVEL READ COMMITTED";
    BEGIN_USUAL = "begin_usual", "BEGIN";
    COMMIT = "commit", "COMMIT";
    CHECK_DEFERRED = "check_deferred", "SET CONSTRAINTS ALL IMMEDIATE";
    WAIT_FOR_NO_DISK = "wait_for_no_disk", "SET LOCAL synchronous_commit TO off";
    GIVE_UP_SOON = "give_up_soon", "SET LOCAL statement_timeout = 2000";
    OPEN_A = "open_a", "SAVEPOINT outtray_a";
    OPEN_B = "open_b", "SAVEPOINT outtray_b";
    OPEN_BUNDLE = "open_bundle", "SAVEPOINT outtray_bundle";
    RELEASE_A = "release_a", "RELEASE outtray_a";
    RELEASE_B = "release_b", "RELEASE outtray_b";
    RELEASE_BUNDLE = "release_bundle", "RELEASE outtray_bundle";
    SEQSCAN_OFF = "seqscan_off", "SET LOCAL enable_seqscan = off";
    SEQSCAN_USUAL = "seqscan_usual", "SET LOCAL enable_seqscan TO DEFAULT";
    GENERIC_PLAN = "generic_plan", "SET LOCAL plan_cache_mode = force_generic_plan";
    USUAL_PLAN = "usual_plan", "SET LOCAL plan_cache_mode TO DEFAULT";
    BITMAPSCAN_OFF = "bitmapscan_off", "SET LOCAL enable_bitmapscan = off";
    BITMAPSCAN_USUAL = "bitmapscan_usual", "SET LOCAL enable_bitmapscan TO DEFAULT";
    HASHJOIN_OFF = "hashjoin_off", "SET LOCAL enable_hashjoin = off";
    HASHJOIN_USUAL = "hashjoin_usual", "SET LOCAL enable_hashjoin TO DEFAULT";
    MERGEJOIN_OFF = "mergejoin_off", "SET LOCAL enable_mergejoin = off";
    MERGEJOIN_USUAL = "mergejoin_usual", "SET LOCAL enable_mergejoin TO DEFAULT";
    SORT_OFF = "sort_off", "SET LOCAL enable_sort = off";
    SORT_USUAL = "sort_usual", "SET LOCAL enable_sort TO DEFAULT";
}

/// Fails in a transaction that was aborted, where COMMIT alone would "succeed" by rolling back.
pub(crate) static PROVE: Statement = Statement::new("prove", "SELECT WHERE false", Plan::Command);

/// Returns commands as one text.
pub(crate) fn script<'c>(commands: impl IntoIterator<Item = &'c Statement>) -> String {
    let each = commands
        .into_iter()
        .map(|command| format!("{};\n", command.command()));
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statement_loads_with_typed_parameters() {
        assert!(ALL.iter().all(|statement| statement.types().len() < 20));
        assert_eq!(CLAIM.types().len(), 5);
    }
}
