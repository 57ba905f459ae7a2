//! Drops a schema, unless receivers run in it or it holds objects that are not outtray's.

use crate::schema::commands::run_each;
use crate::schema::functions;
use crate::schema::migrate::version;
use crate::schema::name::SchemaName;
use crate::schema::turn::{in_turn, retrying};
use crate::words::{DriverResult, Error, ErrorKind, Result, classify};
use postgres::error::SqlState;
use postgres::types::Type;
use postgres::{Client, Transaction};
use std::collections::BTreeMap;

/// Lists the receivers that may live.
const LIVING: &str = include_str!("living.sql");
/// Tells which of them do not.
const FREE_LOCKS: &str = include_str!("../crashes/free_locks.sql");
const DROP: &str = include_str!("drop.sql");

const DOING: &str = "dropping the schema";

/// Drops the schema; returns false when there is none. A receiver lives if it holds its lock or was
/// seen within `unseen_s` seconds.
///
/// # Errors
/// `InUse` when receivers live, and `Database` when the schema holds objects that are not outtray's
/// or other objects depend on it. In both cases nothing is changed.
pub(crate) fn drop_schema(client: &mut Client, schema: &SchemaName, unseen_s: i64) -> Result<bool> {
    retrying(|| {
        if version(client, schema)?.is_none() {
            return Ok(false);
        }
        in_turn(client, schema, DOING, |transaction| {
            refuse_receivers(transaction, schema, unseen_s)?;
            let sql = format!(
                "{};\n{};\nDROP SCHEMA \"{}\" RESTRICT",
                schema.substitute(DROP),
                functions::drop_all(schema),
                schema.as_str()
            );
            run_each(transaction, &sql).map_err(|error| refused(error, schema))?;
            Ok(true)
        })
    })
}

/// Checks that no receiver lives, and lets none start until the transaction ends.
fn refuse_receivers(
    transaction: &mut Transaction<'_>,
    schema: &SchemaName,
    unseen_s: i64,
) -> Result<()> {
    let failed = |error| classify(error, DOING);
    let lock = schema.substitute("LOCK TABLE outtray.worker IN ACCESS EXCLUSIVE MODE");
    transaction.batch_execute(&lock).map_err(failed)?;
    let living = living(transaction, schema, unseen_s).map_err(failed)?;
    let Some((topic, process)) = living.first() else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::InUse,
        format!(
            "receivers run in the schema \"{}\" ({} in all, one of topic {topic} in process {process}): stop them first",
            schema.as_str(),
            living.len(),
        ),
    ))
}

/// Returns the topics and the processes of the receivers that live.
fn living(
    transaction: &mut Transaction<'_>,
    schema: &SchemaName,
    unseen_s: i64,
) -> DriverResult<Vec<(String, String)>> {
    let rows = transaction.query_typed(&schema.substitute(LIVING), &[(&unseen_s, Type::INT8)])?;
    let mut living = BTreeMap::<i64, (String, String)>::new();
    let mut locked = Vec::<i64>::new();
    for row in &rows {
        let id = row.try_get("id")?;
        living.insert(id, (row.try_get("topic")?, row.try_get("process")?));
        if row.try_get("holds_lock")? {
            locked.push(id);
        }
    }
    let namespace = schema.lock_namespace();
    let params = [
        (&namespace as _, Type::INT8),
        (&locked as _, Type::INT8_ARRAY),
    ];
    for row in transaction.query_typed(FREE_LOCKS, &params)? {
        living.remove(&row.try_get("id")?);
    }
    Ok(living.into_values().collect())
}

/// Classifies an error of dropping the schema.
fn refused(error: postgres::Error, schema: &SchemaName) -> Error {
    if error.code() != Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) {
        return classify(error, DOING);
    }
    let text = format!(
        "the schema \"{}\" holds what is not outtray's, or something else rests on its tables: nothing was dropped",
        schema.as_str()
    );
    Error::new(ErrorKind::Database, text).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn all_that_migrations_make_is_dropped() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/migrations");
        let files = fs::read_dir(folder).unwrap();
        let migrations = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        let migrations = migrations.collect::<String>();
        let kinds = ["CREATE TABLE ", "CREATE SEQUENCE ", "CREATE FUNCTION "];
        let mut made = 0;
        for line in migrations.lines() {
            let Some(rest) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) else {
                continue;
            };
            if rest.contains(" PARTITION OF ") {
                // It goes with its parent.
                continue;
            }
            let rest = rest.trim_start_matches("IF NOT EXISTS ");
            let name = rest.split([' ', '(']).next().unwrap();
            let is_dropped = DROP.split([' ', ',', '(', '\n']).any(|word| word == name);
            assert!(is_dropped, "drop.sql leaves {name}");
            made += 1;
        }
        assert!(made > 20, "{made}");
    }
}
