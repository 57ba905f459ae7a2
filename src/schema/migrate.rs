//! Brings a database's schema to this release, one numbered file at a time, each about one subject.
//!
//! Each file runs command by command in a transaction of its own, under an advisory lock that all
//! processes share, and is recorded with its checksum. A waiting `ALTER TABLE` stalls every claim
//! that comes after it, so each file gives up after a [while](crate::schema::turn) and is tried
//! again: the queue stays alive while the migration waits for its turn.
//!
//! At the end it installs the [functions], and moves sequences that a copy of the tables left
//! behind.

use crate::schema::commands::run_each;
use crate::schema::functions;
use crate::schema::name::SchemaName;
use crate::schema::sequences::{self, Behind};
use crate::schema::turn::{in_turn, retrying};
use crate::words::{Doing, Error, ErrorKind, Result, classify};
use postgres::types::Type;
use postgres::{Client, GenericClient};
use std::collections::{BTreeMap, BTreeSet};
use std::slice;

/// A numbered change of the schema.
struct Migration {
    /// Its version and its subject, as in `0001_message`.
    title: &'static str,
    sql: &'static str,
}

macro_rules! migrations {
    ($($title:literal,)*) => {
        &[$(Migration {
            title: $title,
            sql: include_str!(concat!("migrations/", $title, ".sql")),
        },)*]
    };
}

/// All migrations, in order. A released file never changes, because databases hold its checksum.
const MIGRATIONS: &[Migration] = migrations![
    "0001_message",
    "0002_filter",
    "0003_settings",
    "0004_keys",
    "0005_dedupe",
    "0006_capacity",
    "0007_rate_limit",
    "0008_max_in_work",
    "0009_strict_order",
    "0010_completion",
    "0011_crashes",
    "0012_schedule",
    "0013_dependencies",
    "0014_cancel",
    "0015_dead_letters",
    "0016_recurring",
    "0017_log",
    "0018_publish",
    "0019_functions",
    "0020_tallies",
    "0021_changes",
    "0022_history",
];

impl Migration {
    fn version(&self) -> i32 {
        let number = self.title.split('_').next();
        let version = number.and_then(|number| number.parse().ok());
        version.expect("a migration's title begins with its version")
    }

    fn subject(&self) -> &str {
        self.title
            .split_once('_')
            .map_or("", |(_, subject)| subject)
    }
}

/// The version that this release works with.
fn newest() -> i32 {
    MIGRATIONS.last().map_or(0, Migration::version)
}

/// Applies the missing migrations and returns their names; empty if none was missing.
///
/// Idempotent and safe to race. Blocks while another process migrates.
pub(crate) fn migrate(client: &mut Client, schema: &SchemaName) -> Result<Vec<String>> {
    let mut applied = Vec::new();
    retrying(|| create_ledger(client, schema))?;
    // One look at all of them: nearly always none is missing.
    let recorded = recorded(client, schema, MIGRATIONS)?;
    for migration in MIGRATIONS {
        let is_recorded = recorded.contains(&migration.version());
        if !is_recorded && retrying(|| apply(client, schema, migration))? {
            applied.push(migration.title.to_owned());
        }
    }
    applied.extend(retrying(|| functions::install(client, schema))?);
    applied.extend(advance(client, schema)?);
    Ok(applied)
}

/// Moves sequences that are behind their tables, and returns their names.
fn advance(client: &mut Client, schema: &SchemaName) -> Result<Vec<String>> {
    // Asking without the lock first: hardly ever is a sequence behind.
    if sequences::behind(client, schema)?.is_empty() {
        return Ok(Vec::new());
    }
    in_turn(client, schema, "moving sequences", |transaction| {
        let behind = sequences::behind(transaction, schema)?;
        for sequence in &behind {
            sequences::advance(transaction, schema, sequence)?;
        }
        Ok(behind.iter().map(Behind::title).collect())
    })
}

/// Returns the names of the migrations that [`migrate`] would apply, and changes nothing.
pub(crate) fn pending(client: &mut Client, schema: &SchemaName) -> Result<Vec<String>> {
    let at = version(client, schema)?.unwrap_or(0);
    let migrations = MIGRATIONS.iter();
    let missing = migrations.filter(|migration| migration.version() > at);
    let mut pending: Vec<String> = missing.map(|one| one.title.to_owned()).collect();
    if at < newest() {
        pending.extend(functions::titles());
    } else {
        pending.extend(functions::pending(client, schema)?);
        let behind = sequences::behind(client, schema)?;
        pending.extend(behind.iter().map(Behind::title));
    }
    Ok(pending)
}

/// Returns the SQL that makes the whole schema, for applying it by hand.
pub(crate) fn script(schema: &SchemaName) -> String {
    let mut script = format!("BEGIN;\n\n{}\n", ledger_sql(schema));
    for migration in MIGRATIONS {
        let sql = schema.substitute(migration.sql);
        script.push_str(&format!(
            "\n-- Migration {}\n\n{sql}\n{}\n",
            migration.title,
            schema.substitute(&format!(
                "INSERT INTO outtray.migration (version, name, checksum) VALUES ({}, '{}', md5($migration${sql}$migration$));",
                migration.version(), migration.subject()
            ))
        ));
    }
    script.push_str(&functions::script(schema));
    script.push_str("\nCOMMIT;\n");
    script
}

/// Checks that the schema is the one this release works with.
///
/// # Errors
/// `SchemaMissing` when there is none or an older one, `SchemaNewer` when it is from a later
/// release.
pub(crate) fn check(client: &mut Client, schema: &SchemaName) -> Result<()> {
    check_version(version(client, schema)?, schema)
}

/// Checks a version as [`version`] returns it.
pub(crate) fn check_version(at: Option<i32>, schema: &SchemaName) -> Result<()> {
    match at {
        None => Err(missing(schema, "is not there")),
        Some(0) => Err(missing(schema, "is empty")),
        Some(at) if at < newest() => Err(missing(
            schema,
            &format!("is at version {at} and this release needs {}", newest()),
        )),
        Some(_) => Ok(()),
    }
}

/// Returns whether a version is not yet that of this release.
pub(crate) fn is_older(at: Option<i32>) -> bool {
    at.is_none_or(|at| at < newest())
}

/// Compares the migrations that were applied with those of this release.
///
/// # Errors
/// `SchemaNewer` when one was applied with other content.
pub(crate) fn compare(client: &mut impl GenericClient, schema: &SchemaName) -> Result<()> {
    recorded(client, schema, MIGRATIONS).map(drop)
}

fn missing(schema: &SchemaName, what: &str) -> Error {
    Error::new(
        ErrorKind::SchemaMissing,
        format!(
            "the schema \"{}\" {what}: run migrate() or `outtray migrate`",
            schema.as_str()
        ),
    )
}

/// Returns the schema's version, or `None` where there is no schema; refuses a newer one.
pub(crate) fn version(client: &mut impl GenericClient, schema: &SchemaName) -> Result<Option<i32>> {
    let doing = "reading the schema's version";
    let ledger = schema.substitute("outtray.migration");
    let is_there: bool = client
        .query_typed_one(
            "SELECT to_regclass($1::text) IS NOT NULL",
            &[(&ledger, Type::TEXT)],
        )
        .and_then(|row| row.try_get(0))
        .doing(doing)?;
    if !is_there {
        return Ok(None);
    }
    let at: i32 = client
        .query_typed_one(
            &schema.substitute("SELECT coalesce(max(version), 0) FROM outtray.migration"),
            &[],
        )
        .and_then(|row| row.try_get(0))
        .doing(doing)?;
    if at > newest() {
        return Err(Error::new(
            ErrorKind::SchemaNewer,
            format!(
                "the schema \"{}\" is at version {at}, this release knows {}: upgrade this program",
                schema.as_str(),
                newest()
            ),
        ));
    }
    Ok(Some(at))
}

fn ledger_sql(schema: &SchemaName) -> String {
    format!("{};\n{}", schema_sql(schema), ledger_table_sql(schema))
}

fn schema_sql(schema: &SchemaName) -> String {
    format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", schema.as_str())
}

fn ledger_table_sql(schema: &SchemaName) -> String {
    schema.substitute(include_str!("migrations/0000_ledger.sql"))
}

fn create_ledger(client: &mut Client, schema: &SchemaName) -> Result<()> {
    // Asking first lets roles without CREATE on the database migrate a schema that exists.
    if version(client, schema)?.is_some() {
        return Ok(());
    }
    let doing = "creating the schema";
    in_turn(client, schema, doing, |transaction| {
        let named = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1::text";
        let is_there = transaction.query_opt(named, &[&schema.as_str()]);
        if is_there.doing(doing)?.is_none() {
            transaction
                .batch_execute(&schema_sql(schema))
                .doing(doing)?;
        }
        run_each(transaction, &ledger_table_sql(schema)).doing(doing)
    })
}

/// Applies one migration, unless another process did meanwhile; returns whether it did.
fn apply(client: &mut Client, schema: &SchemaName, migration: &Migration) -> Result<bool> {
    let doing = format!("applying migration {}", migration.title);
    let sql = schema.substitute(migration.sql);
    in_turn(client, schema, &doing, |transaction| {
        if !recorded(transaction, schema, slice::from_ref(migration))?.is_empty() {
            return Ok(false);
        }
        run_each(transaction, &sql)
            .and_then(|()| {
                transaction.execute(
                    &schema.substitute(
                        "INSERT INTO outtray.migration (version, name, checksum) \
                         VALUES ($1::integer, $2::text, md5($3::text))",
                    ),
                    &[&migration.version(), &migration.subject(), &sql],
                )
            })
            .map(|_| true)
            .doing(&doing)
    })
}

/// Returns the versions of the migrations that are recorded; refuses one that was recorded with
/// other content.
fn recorded(
    client: &mut impl GenericClient,
    schema: &SchemaName,
    migrations: &[Migration],
) -> Result<BTreeSet<i32>> {
    let failed = |error| classify(error, "reading the applied migrations");
    let versions: Vec<i32> = migrations.iter().map(Migration::version).collect();
    let texts = migrations.iter().map(|one| schema.substitute(one.sql));
    let texts: Vec<String> = texts.collect();
    // Typed, and so without a named statement: a pooler may give it to another server process.
    let rows = client
        .query_typed(
            &schema.substitute(
                "SELECT migration.version, migration.checksum = pg_catalog.md5(ours.sql) \
                 FROM unnest($1::integer[], $2::text[]) AS ours (version, sql) \
                 JOIN outtray.migration ON migration.version = ours.version",
            ),
            &[(&versions, Type::INT4_ARRAY), (&texts, Type::TEXT_ARRAY)],
        )
        .map_err(failed)?;
    let mut recorded = BTreeMap::new();
    for row in rows {
        let version: i32 = row.try_get(0).map_err(failed)?;
        let is_same: bool = row.try_get(1).map_err(failed)?;
        recorded.insert(version, is_same);
    }
    let differs = |one: &&Migration| recorded.get(&one.version()) == Some(&false);
    match migrations.iter().find(differs) {
        None => Ok(recorded.into_keys().collect()),
        Some(migration) => Err(Error::new(
            ErrorKind::SchemaNewer,
            format!(
                "migration {} of schema \"{}\" was applied with other content: this program and \
                 the one that migrated are not the same release",
                migration.title,
                schema.as_str()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn each_file_is_a_migration_and_they_are_numbered_without_gaps() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema/migrations");
        let names = fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap());
        let mut files: Vec<String> = names.filter(|name| name != "0000_ledger.sql").collect();
        files.sort();

        let listed = MIGRATIONS.iter().map(|one| format!("{}.sql", one.title));
        assert_eq!(listed.collect::<Vec<_>>(), files);
        let versions = MIGRATIONS.iter().map(Migration::version);
        assert!(versions.eq(1..=newest()));
    }
}
