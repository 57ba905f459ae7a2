//! All checks, in the order in which they are reported.

use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::doctor::{
    cluster, connections, horizon, logs, messages, role_settings, schema_state, server, topics, way,
};
use crate::words::Result;

/// One check.
pub(crate) struct NamedCheck {
    /// What its findings are known by.
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    pub(crate) ask: fn(&mut Ask<'_, '_>) -> Result<Vec<Finding>>,
}

/// Without what a check makes no sense.
pub(crate) enum Needs {
    Nothing,
    /// Our tables, of whatever version.
    Tables,
    /// A distributed PostgreSQL.
    Cluster,
}

macro_rules! checks {
    ($($name:literal $needs:ident $ask:path,)*) => {
        &[$(NamedCheck { name: $name, needs: Needs::$needs, ask: $ask },)*]
    };
}

pub(crate) const CHECKS: &[NamedCheck] = checks![
    "server_version" Nothing server::version,
    "replica" Nothing way::replica,
    "pooler" Nothing way::pooler,
    "clock" Nothing way::clock,
    "schema" Nothing schema_state::schema,
    "functions" Tables schema_state::functions,
    "privileges" Tables schema_state::privileges,
    "sequences" Tables schema_state::sequences,
    "visibility" Nothing server::visibility,
    "fsync" Nothing role_settings::setting,
    "full_page_writes" Nothing role_settings::setting,
    "synchronous_commit" Nothing role_settings::setting,
    "synchronous_standby" Nothing server::synchronous_standby,
    "autovacuum" Nothing role_settings::setting,
    "track_counts" Nothing role_settings::setting,
    "track_activities" Nothing role_settings::setting,
    "old_snapshot_threshold" Nothing role_settings::setting,
    "vacuum_defer_cleanup_age" Nothing role_settings::setting,
    "statement_timeout" Nothing role_settings::setting,
    "idle_in_transaction_session_timeout" Nothing role_settings::setting,
    "transaction_timeout" Nothing role_settings::setting,
    "idle_session_timeout" Nothing role_settings::setting,
    "lock_timeout" Nothing role_settings::setting,
    "default_transaction_isolation" Nothing role_settings::setting,
    "default_transaction_read_only" Nothing role_settings::setting,
    "enable_indexscan" Nothing role_settings::setting,
    "enable_nestloop" Nothing role_settings::setting,
    "plan_cache_mode" Nothing role_settings::setting,
    "connections" Nothing connections::connections,
    "long_transactions" Nothing horizon::long_transactions,
    "prepared_transactions" Nothing horizon::prepared_transactions,
    "replication_slots" Nothing horizon::replication_slots,
    "standby_feedback" Nothing horizon::standby_feedback,
    "dead_rows" Tables horizon::dead_rows,
    "suspect_topics" Tables topics::suspect,
    "stuck_keys" Tables topics::stuck_keys,
    "unreceived_topics" Tables topics::unreceived,
    "paused_topics" Tables topics::paused,
    "oldest_ready" Tables topics::oldest_ready,
    "outcomes" Tables messages::outcomes,
    "cancellations" Tables messages::cancellations,
    "upkeep" Tables messages::upkeep,
    "log_readers" Tables logs::readers,
    "citus" Cluster cluster::version,
    "citus_schema" Cluster cluster::schema,
    "citus_tables" Cluster cluster::tables,
    "citus_two_phase" Cluster cluster::two_phase,
    "citus_prepared" Cluster cluster::prepared,
    "citus_entry" Cluster cluster::entry,
];
