//! Whatever settings a role or a database has, everything goes the same way.

mod scenario;

use crate::support::{client, server};
use postgres::Client;

/// A database whose settings change, and a connection that was there before them.
struct Bed {
    url: String,
    database: String,
    client: Client,
}

impl Bed {
    fn new() -> Bed {
        let url = server().empty_database().unwrap();
        let (_, database) = url.rsplit_once('/').unwrap();
        Bed {
            database: database.to_owned(),
            client: client(&url),
            url,
        }
    }

    /// Returns what happens under these settings.
    fn run(&mut self, settings: &[(&str, &str)], is_pooler_safe: bool) -> Vec<String> {
        let database = &self.database;
        let mut sql =
            format!("DROP SCHEMA IF EXISTS outtray CASCADE; ALTER DATABASE {database} RESET ALL;");
        for (name, value) in settings {
            sql.push_str(&format!("ALTER DATABASE {database} SET {name} = {value};"));
        }
        self.client.batch_execute(&sql).unwrap();
        scenario::run(&self.url, is_pooler_safe, &mut self.client)
    }
}

/// Settings of all kinds that change forms, names, plans or what a transaction sees.
const SETTINGS: [(&str, &str); 19] = [
    ("bytea_output", "escape"),
    ("array_nulls", "off"),
    ("datestyle", "'German, DMY'"),
    ("intervalstyle", "sql_standard"),
    ("timezone", "'Asia/Kathmandu'"),
    ("extra_float_digits", "'-15'"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "off"),
    ("quote_all_identifiers", "on"),
    ("transform_null_equals", "on"),
    ("row_security", "off"),
    ("xmloption", "document"),
    ("search_path", "public, pg_catalog"),
    ("default_transaction_isolation", "'repeatable read'"),
    ("client_min_messages", "error"),
    ("plan_cache_mode", "force_generic_plan"),
    // Plans that are kept from the usual ways look so dear that each is compiled first.
    ("jit", "off"),
    ("session_replication_role", "replica"),
    ("synchronous_commit", "off"),
];

#[test]
fn everything_goes_the_same_way_under_settings_of_a_role_that_change_forms_and_plans() {
    let mut bed = Bed::new();
    let expected = bed.run(&[], false);
    let failed = expected.iter().find(|line| line.contains("FAILED"));
    assert_eq!(failed, None);

    assert_eq!(bed.run(&SETTINGS, false), expected);
}

#[test]
fn behind_a_pooler_where_nothing_is_set_everything_goes_the_same_way_too() {
    let mut bed = Bed::new();
    let expected = bed.run(&[], true);
    // Refused there, since it cannot be changed for one of several clients.
    let settings: Vec<_> = SETTINGS
        .into_iter()
        .filter(|(name, _)| *name != "search_path")
        .collect();

    assert_eq!(bed.run(&settings, true), expected);
}
