//! All checks, in the order in which they are reported.

use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::doctor::{connections, role_settings, schema_state, server, way};
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
];
