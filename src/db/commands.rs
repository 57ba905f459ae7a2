//! Commands: statements that begin and end transactions, and settings within them.

use crate::db::statement::{Plan, PlannerSetting, Statement};

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
    OPEN_PUBLISHED = "open_published", "SAVEPOINT outtray_published";
    RELEASE_PUBLISHED = "release_published", "RELEASE outtray_published";
    UNDO_PUBLISHED = "undo_published", "ROLLBACK TO outtray_published";
    TRY_ROOM = "try_room", "SAVEPOINT outtray_room";
    KEEP_ROOM = "keep_room", "RELEASE outtray_room";
    UNDO_ROOM = "undo_room", "ROLLBACK TO outtray_room";
}

/// Lets the planner do nothing but follow an index until the transaction ends. Where a table seems
/// nearly empty, to read all of a topic and to sort it looks as cheap as to take its first rows,
/// and a LIMIT does not help.
pub(crate) const READ_IN_ORDER: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off; SET LOCAL jit = off";

/// Fails in a transaction that was aborted, where COMMIT alone would "succeed" by rolling back.
pub(crate) static PROVE: Statement = Statement::new("prove", "SELECT WHERE false", Plan::Command);

/// How the planner is kept from something for a while, within a transaction.
pub(crate) struct Switch {
    pub(crate) off: Statement,
    /// Puts the setting back to the session's default.
    pub(crate) usual: Statement,
    /// Like `off`, and notes in a setting of ours what it was. Has no rows.
    pub(crate) noted_off: Statement,
    /// Puts the setting back to what was noted.
    pub(crate) noted: Statement,
}

macro_rules! switches {
    ($($setting:ident = $name:literal, $value:literal;)*) => {
        impl PlannerSetting {
            pub(crate) fn switch(self) -> &'static Switch {
                match self {
                    $(PlannerSetting::$setting => {
                        static SWITCH: Switch = Switch {
                            off: Statement::new(
                                concat!($name, "_off"),
                                concat!("SET LOCAL ", $name, " = ", $value),
                                Plan::Command,
                            ),
                            usual: Statement::new(
                                concat!($name, "_usual"),
                                concat!("SET LOCAL ", $name, " TO DEFAULT"),
                                Plan::Command,
                            ),
                            noted_off: Statement::new(
                                concat!($name, "_noted_off"),
                                concat!(
                                    "SELECT WHERE pg_catalog.set_config('outtray.", $name,
                                    "', pg_catalog.current_setting('", $name,
                                    "'), true) IS NULL OR pg_catalog.set_config('", $name,
                                    "', '", $value, "', true) IS NULL",
                                ),
                                Plan::Command,
                            ),
                            noted: Statement::new(
                                concat!($name, "_noted"),
                                concat!(
                                    "SELECT WHERE pg_catalog.set_config('", $name,
                                    "', pg_catalog.current_setting('outtray.", $name,
                                    "'), true) IS NULL",
                                ),
                                Plan::Command,
                            ),
                        };
                        &SWITCH
                    })*
                }
            }
        }
    };
}

switches! {
    NoSeqscan = "enable_seqscan", "off";
    GenericPlan = "plan_cache_mode", "force_generic_plan";
    NoBitmapscan = "enable_bitmapscan", "off";
    NoHashjoin = "enable_hashjoin", "off";
    NoMergejoin = "enable_mergejoin", "off";
    NoSort = "enable_sort", "off";
}

/// Returns commands as one text.
pub(crate) fn script<'c>(commands: impl IntoIterator<Item = &'c Statement>) -> String {
    let each = commands
        .into_iter()
        .map(|command| format!("{};\n", command.command()));
    each.collect()
}
