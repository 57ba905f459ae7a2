//! Runs all checks, each in a transaction of its own that only reads.

use crate::connect::connection::Connection;
use crate::connect::settings::ConnectionSettings;
use crate::connect::transaction::OpenTransaction;
use crate::doctor::ask::Ask;
use crate::doctor::checks::{CHECKS, NamedCheck, Needs};
use crate::doctor::facts::{Facts, Wishes};
use crate::doctor::finding::{Diagnosis, Finding, Severity};
use crate::doctor::way;
use crate::words::sqlstate::failure;
use crate::words::{Doing, Error, ErrorKind, Result, chain};
use postgres::IsolationLevel;
use std::time::Duration;

/// How long an answer may take; a statement gives up before that.
const ANSWER: Duration = Duration::from_secs(8);
/// No table is read as a whole where an index serves, whatever the statistics say.
const LIMITS: &str = "SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = 5000; SET LOCAL lock_timeout = 1000; \
    SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off";

/// Examines what these settings lead to.
///
/// # Errors
/// `Unavailable`, `Denied`, `Configuration` where nothing can be asked.
pub(crate) fn examine(settings: &ConnectionSettings, wishes: &Wishes) -> Result<Diagnosis> {
    let mut connection = open(settings)?;
    let is_behind_pooler = connection.is_behind_pooler() == Some(true);
    if settings.is_pooler_safe || is_behind_pooler {
        if refuses_transactions(&mut connection) && refuses_transactions(&mut open(settings)?) {
            let findings = vec![way::statement_mode()];
            return Ok(Diagnosis { findings });
        }
        connection = open(settings)?;
    }
    let mut begun = begin(&mut connection)?;
    let facts = Facts::ask(&mut begun, wishes, settings, is_behind_pooler)?;
    drop(begun);
    let mut findings = Vec::new();
    let mut lost = None;
    for check in CHECKS.iter().filter(|check| applies(check, &facts)) {
        if lost.is_none() && connection.is_closed() {
            match open(settings) {
                Ok(opened) => connection = opened,
                // Each further try would take as long.
                Err(error) => lost = Some(error),
            }
        }
        match &lost {
            None => findings.extend(
                examine_one(&mut connection, check, &facts)
                    .unwrap_or_else(|error| vec![unanswered(check, &facts, &error)]),
            ),
            Some(error) => findings.push(unanswered(check, &facts, error)),
        }
    }
    Ok(Diagnosis { findings })
}

/// Opens a connection on which each answer has a limit, also to a server that takes no writes.
fn open(settings: &ConnectionSettings) -> Result<Connection> {
    Connection::open_limited(settings, ANSWER).or_else(|error| match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Configuration => {
            Connection::open_to_look(settings, ANSWER).map_err(|_| error)
        }
        _ => Err(error),
    })
}

fn begin(connection: &mut Connection) -> Result<OpenTransaction<'_>> {
    let mut open = connection
        .begin(Some(IsolationLevel::ReadCommitted))
        .doing("beginning to examine")?;
    open.transaction
        .batch_execute(LIMITS)
        .doing("beginning to examine")?;
    Ok(open)
}

/// Returns whether a connection that has just answered is closed by BEGIN, or BEGIN refused, as a
/// pooler does that gives each statement another server process.
fn refuses_transactions(connection: &mut Connection) -> bool {
    let begun = begin(connection).map(drop);
    let cause = begun
        .as_ref()
        .err()
        .and_then(Error::cause::<postgres::Error>);
    cause.is_some_and(|error| failure(error).is_lost())
}

fn applies(check: &NamedCheck, facts: &Facts) -> bool {
    match check.needs {
        Needs::Nothing => true,
        Needs::Tables => facts.has_tables,
        Needs::Cluster => facts.is_distributed,
    }
}

fn examine_one(
    connection: &mut Connection,
    check: &NamedCheck,
    facts: &Facts,
) -> Result<Vec<Finding>> {
    let mut open = begin(connection)?;
    let mut ask = Ask {
        open: &mut open,
        facts,
        check: check.name,
    };
    let found = (check.ask)(&mut ask)?;
    open.transaction.rollback().doing("examining")?;
    Ok(found)
}

/// Says that a check has no answer: because the role may not ask, or for another reason.
fn unanswered(check: &NamedCheck, facts: &Facts, error: &Error) -> Finding {
    let seen = format!("not found out: {}", chain(error));
    if error.kind() == ErrorKind::Denied {
        let finding = Finding::new(check.name, Severity::Note, seen);
        return finding
            .means("the role that asks lacks a privilege, so nothing is known of this")
            .sql(format!("GRANT pg_monitor TO {};", facts.role))
            .sql(format!(
                "GRANT USAGE ON SCHEMA {} TO {};",
                facts.quoted_schema(),
                facts.role
            ))
            .sql(format!(
                "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {};",
                facts.quoted_schema(),
                facts.role
            ))
            .sql(format!(
                "GRANT SELECT ON ALL SEQUENCES IN SCHEMA {} TO {};",
                facts.quoted_schema(),
                facts.role
            ));
    }
    let cause = error.cause::<postgres::Error>().map(failure);
    let finding = Finding::new(check.name, Severity::Warning, seen);
    let finding = match cause {
        Some(cause) if cause.is_lost() => finding.means("the connection was lost, or the server did not answer in time"),
        _ => finding.means("the check failed, or took longer than 5 s, or somebody holds what it has to read; nothing is known of this"),
    };
    finding.advice("run it again when the server has less to do")
}
