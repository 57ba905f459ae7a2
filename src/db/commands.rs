//! Commands: statements that begin and end transactions, and settings within them.

use crate::db::statement::{Plan, Statement};

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
    TRY_ROOM = "try_room", "SAVEPOINT outtray_room";
    KEEP_ROOM = "keep_room", "RELEASE outtray_room";
    UNDO_ROOM = "undo_room", "ROLLBACK TO outtray_room";
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
