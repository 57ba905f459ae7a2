//! Who holds dead rows back, and how many there are.
//!
//! A queue makes a dead row of each message. Vacuum removes those that nobody can see any more: of
//! all transactions, prepared ones, replication slots and standbys the oldest decides. The server
//! does not say since when a slot or a standby needs what it needs, only for how many transactions:
//! a thousand of them stand for a second here.

use crate::db::{Statement, column, sql};
use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;
use crate::doctor::listed::{at_most, span};
use crate::words::Result;
use postgres::Row;

static HELD_SLOTS: Statement = sql!("held_slots", Anew);
static LONG_TRANSACTIONS: Statement = sql!("long_transactions", Anew);
static OLD_PREPARED: Statement = sql!("old_prepared", Anew);
static STANDBY_FEEDBACK: Statement = sql!("standby_feedback", Anew);
static TABLE_WASTE: Statement = sql!("table_waste", Anew);

const HOLDS: &str = "no row that died since then can be removed, in any table: claims become slower with each message";

/// From how many on dead rows are more than vacuum leaves between two of its rounds.
const MANY_DEAD: i64 = 100_000;
/// From this size on a table is worth a look.
const LARGE: i64 = 64 << 20;
/// More than a row takes on the average, in a table with live rows in most of its pages.
const SPARSE: i64 = 64 << 10;

/// Checks for transactions that have been open for long.
pub(crate) fn long_transactions(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&LONG_TRANSACTIONS, &[&ask.facts.patience_ms()])?;
    let found: Result<Vec<Finding>> = rows.iter().map(|row| transaction(ask, row)).collect();
    let seen = format!("none is older than {}", span(ask.facts.patience_ms()));
    Ok(ask.or_ok(at_most(ask, found?), seen))
}

fn transaction(ask: &Ask<'_, '_>, row: &Row) -> Result<Finding> {
    let process: i32 = column(row, "process")?;
    let [role, program, state]: [String; 3] = [
        column(row, "role")?,
        column(row, "program")?,
        column(row, "state")?,
    ];
    let age = span(column(row, "open_ms")?);
    let seen = format!(
        "server process {process} of role {role}, application \"{program}\", has had a transaction open for {age}, and is {state}"
    );
    Ok(ask
        .warning(seen)
        .means(HOLDS)
        .advice("have that program end it: long work belongs under a lease; or, to roll it back:")
        .call(format!("pg_terminate_backend({process})")))
}

/// Checks for transactions that were prepared long ago.
pub(crate) fn prepared_transactions(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let params = (ask.facts.patience_ms(), ask.facts.is_distributed);
    let rows = ask.rows(&OLD_PREPARED, &[&params.0, &params.1])?;
    let read = |row: &Row| {
        let (name, owner): (String, String) = (column(row, "name")?, column(row, "owner")?);
        let age = span(column(row, "age_ms")?);
        let seen = format!("{name} of role {owner} was prepared {age} ago");
        Ok(ask
            .warning(seen)
            .means(format!("{HOLDS}; and its locks, on messages too, are held until it ends"))
            .advice("have the transaction manager that made it end it, by COMMIT PREPARED where it is to count; or:")
            .sql(format!("ROLLBACK PREPARED {name};")))
    };
    let found: Result<Vec<Finding>> = rows.iter().map(read).collect();
    let seen = format!("none is older than {}", span(params.0));
    Ok(ask.or_ok(at_most(ask, found?), seen))
}

/// Checks what replication slots keep.
pub(crate) fn replication_slots(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&HELD_SLOTS, &[])?;
    let mut found = Vec::new();
    for row in &rows {
        found.extend(slot(ask, row)?);
    }
    let seen = format!("{} in all, none holds anything back", rows.len());
    Ok(ask.or_ok(at_most(ask, found), seen))
}

fn slot(ask: &Ask<'_, '_>, row: &Row) -> Result<Option<Finding>> {
    let (name, is_active): (String, bool) = (column(row, "name")?, column(row, "is_active")?);
    let xmin: Option<i64> = column(row, "xmin_age")?;
    let kept: Option<i64> = column(row, "kept_bytes")?;
    let is_old = xmin.is_some_and(|age| age > ask.facts.patience_ms());
    if is_active && !is_old {
        return Ok(None);
    }
    let use_of_it = match is_active {
        true => "is in use",
        false => "is not in use",
    };
    let rows_held = xmin.map(|age| format!(", holds rows of the last {age} transactions"));
    let wal_held = kept.map(|bytes| format!(", keeps {} MB of WAL", bytes >> 20));
    let seen = format!(
        "slot {name} {use_of_it}{}{}",
        rows_held.unwrap_or_default(),
        wal_held.unwrap_or_default()
    );
    let means = match xmin {
        Some(_) => format!("{HOLDS}; and WAL is kept until the disk is full"),
        None => "WAL is kept until somebody reads it, or the disk is full and the server stops"
            .to_owned(),
    };
    Ok(Some(
        ask.warning(seen)
            .means(means)
            .advice("have whoever reads from it come back; or, if nobody will:")
            .call(format!("pg_drop_replication_slot({name})")),
    ))
}

/// Checks what standbys need.
pub(crate) fn standby_feedback(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let rows = ask.rows(&STANDBY_FEEDBACK, &[&ask.facts.patience_ms()])?;
    let read = |row: &Row| {
        let (program, age): (String, i64) = (column(row, "program")?, column(row, "xmin_age")?);
        let seen = format!("standby \"{program}\" holds rows of the last {age} transactions");
        Ok(ask
            .warning(seen)
            .means(format!("a query runs there for long, and hot_standby_feedback is on: {HOLDS}"))
            .advice("end that query on the standby, or turn hot_standby_feedback off there: ALTER SYSTEM SET hot_standby_feedback = off"))
    };
    let found: Result<Vec<Finding>> = rows.iter().map(read).collect();
    Ok(ask.or_ok(at_most(ask, found?), "no standby holds rows back for long"))
}

/// Checks how many rows are dead, and how much room tables take for few.
pub(crate) fn dead_rows(ask: &mut Ask<'_, '_>) -> Result<Vec<Finding>> {
    let schema = ask.facts.schema.as_str();
    let rows = ask.rows(&TABLE_WASTE, &[&schema])?;
    let mut found = Vec::new();
    let mut most = 0;
    for row in &rows {
        let waste = Waste::of(row)?;
        most = most.max(waste.dead);
        found.extend(waste.finding(ask));
    }
    Ok(ask.or_ok(at_most(ask, found), format!("{most} at most, of one table")))
}

/// A table, and what of it is of no use.
struct Waste {
    table: String,
    dead: i64,
    live: i64,
    bytes: i64,
    /// Whether vacuum is kept from it.
    is_left: bool,
}

impl Waste {
    fn of(row: &Row) -> Result<Self> {
        Ok(Waste {
            table: column(row, "name")?,
            dead: column(row, "dead")?,
            live: column(row, "live")?,
            bytes: column(row, "bytes")?,
            is_left: column(row, "is_left")?,
        })
    }

    fn finding(&self, ask: &Ask<'_, '_>) -> Option<Finding> {
        let Waste {
            table,
            dead,
            live,
            bytes,
            ..
        } = self;
        let name = format!("{}.{table}", ask.facts.quoted_schema());
        if self.is_left {
            let finding = ask.warning(format!(
                "autovacuum is off for {table}, which has {dead} dead rows"
            ));
            return Some(
                finding
                    .means("dead rows of handled messages stay for ever, and claims become slower with each")
                    .sql(format!("ALTER TABLE {name} RESET (autovacuum_enabled);"))
                    .sql(format!("VACUUM {name};")),
            );
        }
        if *dead >= MANY_DEAD && *dead > live * 2 {
            let finding = ask.warning(format!(
                "{table} has {dead} dead rows beside {live} live ones"
            ));
            return Some(
                finding
                    .means("claims and look-ups walk over them; vacuum does not come, or somebody holds them back")
                    .advice("end what long_transactions, prepared_transactions and replication_slots name; then:")
                    .sql(format!("VACUUM {name};")),
            );
        }
        if *bytes >= LARGE && bytes / (live + dead).max(1) >= SPARSE {
            let finding = ask.note(format!(
                "{table} takes {} MB for {} rows",
                bytes >> 20,
                live + dead
            ));
            return Some(
                finding
                    .means("pages of a backlog that is gone: they are filled again, and cost little but room")
                    .advice("when nobody works on the topics, for it locks the table:")
                    .sql(format!("VACUUM FULL {name};")),
            );
        }
        None
    }
}
