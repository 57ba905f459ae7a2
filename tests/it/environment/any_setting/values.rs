//! Values for settings that an administrator could have chosen, and that mean trouble.

use postgres::Row;

/// Settings that are left out, and why.
const LEFT_OUT: [(&str, &str); 20] = [
    ("role", "another role is another test"),
    ("session_authorization", "another role is another test"),
    (
        "exit_on_error",
        "each error ends the session, so the errors of handlers are lost connections",
    ),
    ("allow_system_table_mods", "for repairs by hand"),
    ("ignore_system_indexes", "for repairs by hand, and slow"),
    ("ignore_checksum_failure", "for repairs by hand"),
    ("zero_damaged_pages", "for repairs by hand"),
    ("wal_consistency_checking", "for developers of the server"),
    ("dynamic_library_path", "nothing is loaded"),
    ("local_preload_libraries", "nothing is loaded"),
    ("session_preload_libraries", "nothing is loaded"),
    ("jit_provider", "nothing is loaded"),
    (
        "max_stack_depth",
        "the least is too little for the server itself",
    ),
    ("trace_locks", "for developers of the server"),
    (
        "force_parallel_mode",
        "for developers of the server, and slow",
    ),
    (
        "debug_parallel_query",
        "for developers of the server, and slow",
    ),
    ("log_executor_stats", "fills the server's log only"),
    ("log_statement", "fills the server's log only"),
    (
        "temp_file_limit",
        "the least refuses every statement that sorts",
    ),
    (
        "default_transaction_read_only",
        "has tests of its own: behind a pooler it is refused",
    ),
];

/// Values of those that have no list of their own, or whose limits refuse everything.
const CHOSEN: [(&str, &[&str]); 49] = [
    (
        "datestyle",
        &["'German, DMY'", "'SQL, MDY'", "'Postgres, YMD'"],
    ),
    (
        "timezone",
        &[
            "'Asia/Kathmandu'",
            "'America/St_Johns'",
            "'Pacific/Kiritimati'",
        ],
    ),
    ("timezone_abbreviations", &["'India'", "'Australia'"]),
    ("log_timezone", &["'Asia/Kathmandu'"]),
    ("lc_messages", &["'de_DE.UTF-8'", "'fr_FR.UTF-8'"]),
    ("lc_monetary", &["'de_DE.UTF-8'"]),
    ("lc_numeric", &["'de_DE.UTF-8'", "'fr_FR.UTF-8'"]),
    ("lc_time", &["'de_DE.UTF-8'"]),
    ("search_path", &["''", "'nowhere'", BEHIND]),
    ("client_encoding", &["'LATIN1'", "'SQL_ASCII'"]),
    ("application_name", &["'a \"name\" it''s'"]),
    ("default_tablespace", &["'pg_default'"]),
    ("temp_tablespaces", &["'pg_default'"]),
    ("default_table_access_method", &["'heap'"]),
    ("default_text_search_config", &["'pg_catalog.german'"]),
    ("backtrace_functions", &["'errstart'"]),
    ("statement_timeout", &["30000"]),
    ("transaction_timeout", &["60000"]),
    ("lock_timeout", &["5000", "2000"]),
    // Shorter ones than a second cut connections that were just found to be alive.
    ("idle_session_timeout", &["60000", "10000"]),
    ("idle_in_transaction_session_timeout", &["60000", "10000"]),
    ("client_connection_check_interval", &["0", "10"]),
    ("tcp_keepalives_idle", &["5"]),
    ("tcp_keepalives_interval", &["5"]),
    ("tcp_keepalives_count", &["2"]),
    ("tcp_user_timeout", &["1000"]),
    ("deadlock_timeout", &["10", "60000"]),
    ("post_auth_delay", &[]),
    ("seq_page_cost", &["0.1", "2"]),
    ("random_page_cost", &["0.1", "8"]),
    ("cpu_tuple_cost", &["0", "0.02"]),
    ("cpu_index_tuple_cost", &["0", "0.02"]),
    ("cpu_operator_cost", &["0", "0.005"]),
    ("jit_above_cost", &["'-1'"]),
    ("jit_inline_above_cost", &["'-1'"]),
    ("jit_optimize_above_cost", &["'-1'"]),
    ("client_min_messages", &["'error'", "'debug1'", "'log'"]),
    ("log_min_messages", &["'panic'", "'info'"]),
    ("log_min_error_statement", &["'panic'"]),
    ("commit_delay", &["100"]),
    ("vacuum_cost_delay", &["1"]),
    ("max_parallel_workers_per_gather", &["0", "8"]),
    ("gin_pending_list_limit", &["64"]),
    // The largest plan for half a minute.
    ("geqo_pool_size", &["100"]),
    ("geqo_generations", &["10"]),
    (
        "restrict_nonsystem_relation_kind",
        &["'view, foreign-table'"],
    ),
    ("plpgsql.extra_errors", &["'all'"]),
    ("plpgsql.extra_warnings", &["'all'"]),
    ("recursive_worktable_factor", &["0.1", "100"]),
];

/// A search path that is refused behind a pooler, since it cannot be changed for one of several
/// clients.
const BEHIND: &str = "public, pg_catalog";

/// Returns the values of one row of `pg_settings`, as SQL.
pub(super) fn values(row: &Row, is_pooler_safe: bool) -> Vec<String> {
    let name: String = row.get(0);
    let name = name.to_ascii_lowercase();
    if LEFT_OUT.iter().any(|(other, _)| *other == name) {
        return Vec::new();
    }
    if let Some((_, values)) = CHOSEN.iter().find(|(other, _)| *other == name) {
        let values = values
            .iter()
            .filter(|value| !(is_pooler_safe && **value == BEHIND));
        return values.map(|value| (*value).to_owned()).collect();
    }
    let kind: String = row.get(1);
    let usual: Option<String> = row.get(5);
    let usual = usual.unwrap_or_default();
    let all = match kind.as_str() {
        "bool" => vec!["on".to_owned(), "off".to_owned()],
        "enum" => row.get(2),
        "integer" | "real" => [3, 4]
            .into_iter()
            .filter_map(|column| row.get(column))
            .collect(),
        _ => Vec::new(),
    };
    let all = all.into_iter().map(|value| match value.parse::<f64>() {
        // Costs and sizes without an end are no choice of anybody's: all plans are equal then.
        Ok(number) if kind == "real" && number > 1e6 => "10".to_owned(),
        Ok(number) if number > 1e6 => "100000".to_owned(),
        _ => value,
    });
    let others = all.filter(|value| *value != usual);
    others.map(|value| format!("'{value}'")).collect()
}
