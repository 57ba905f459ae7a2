//! Who receives, and who is gone without a word.

use crate::store::run::{Run, column, execute, query};
use crate::store::statements::Statements;
use crate::words::Result;
use std::time::Duration;

/// A receiver's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enrolled {
    pub(crate) topic: String,
    pub(crate) id: i64,
}

/// Adds a row; the caller takes its lock next, if it can hold one.
pub(crate) fn enroll(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
    process: &str,
    holds_lock: bool,
) -> Result<Enrolled> {
    let rows = query(
        run,
        &statements.enroll,
        &[&topic, &process, &holds_lock],
        &format!("enrolling a receiver of topic {topic}"),
    )?;
    let id = rows.first().map_or(Ok(0), |row| column(row, "id"))?;
    Ok(Enrolled {
        topic: topic.to_owned(),
        id,
    })
}

/// Takes the session locks that say these receivers live; returns the ids of those it got.
pub(crate) fn hold_liveness(
    run: &mut dyn Run,
    statements: &Statements,
    namespace: i64,
    ids: &[i64],
) -> Result<Vec<i64>> {
    query(
        run,
        &statements.hold_liveness,
        &[&namespace, &ids],
        "showing that receivers live",
    )?
    .iter()
    .map(|row| column(row, "id"))
    .collect()
}

/// Removes the row of a receiver that ends in peace, and gives its lock back.
pub(crate) fn sign_off(
    run: &mut dyn Run,
    statements: &Statements,
    namespace: Option<i64>,
    receiver: &Enrolled,
) -> Result<()> {
    let doing = "signing a receiver off";
    execute(
        run,
        &statements.sign_off,
        &[&receiver.topic, &receiver.id],
        doing,
    )?;
    if let Some(namespace) = namespace {
        query(
            run,
            &statements.drop_liveness,
            &[&namespace, &receiver.id],
            doing,
        )?;
    }
    Ok(())
}

/// Notes that these receivers live, and brings back rows that somebody removed by mistake.
pub(crate) fn show_life(
    run: &mut dyn Run,
    statements: &Statements,
    receivers: &[Enrolled],
    process: &str,
    holds_lock: bool,
) -> Result<()> {
    let ids: Vec<i64> = receivers.iter().map(|receiver| receiver.id).collect();
    let topics: Vec<&str> = receivers
        .iter()
        .map(|receiver| receiver.topic.as_str())
        .collect();
    execute(
        run,
        &statements.show_life,
        &[&ids, &topics, &process, &holds_lock],
        "showing that receivers live",
    )?;
    Ok(())
}

/// Notes that receivers were seen now which were seen in the future, by a clock that was set back since.
pub(crate) fn rewind(run: &mut dyn Run, statements: &Statements, ahead_s: i64) -> Result<()> {
    let doing = "looking for receivers of the future";
    execute(run, &statements.rewind_workers, &[&ahead_s], doing).map(drop)
}

/// Returns receivers of other processes that are gone without signing off.
pub(crate) fn find_vanished(
    run: &mut dyn Run,
    statements: &Statements,
    namespace: i64,
    mine: &[i64],
    unseen_for_s: i64,
) -> Result<Vec<Enrolled>> {
    query(
        run,
        &statements.find_vanished,
        &[&namespace, &mine, &unseen_for_s],
        "looking for dead receivers",
    )?
    .iter()
    .map(|row| {
        Ok(Enrolled {
            topic: column(row, "topic")?,
            id: column(row, "id")?,
        })
    })
    .collect()
}

/// Removes vanished receivers; returns the topics that became suspect by it.
pub(crate) fn suspect(
    run: &mut dyn Run,
    statements: &Statements,
    vanished: &[Enrolled],
    for_s: i64,
) -> Result<Vec<String>> {
    let topics: Vec<&str> = vanished
        .iter()
        .map(|receiver| receiver.topic.as_str())
        .collect();
    let ids: Vec<i64> = vanished.iter().map(|receiver| receiver.id).collect();
    query(
        run,
        &statements.suspect,
        &[&topics, &ids, &for_s],
        "marking topics as suspect",
    )?
    .iter()
    .map(|row| column(row, "topic"))
    .collect()
}

/// Returns how long receivers of a topic are to count attempts before they run a handler.
pub(crate) fn suspicion(
    run: &mut dyn Run,
    statements: &Statements,
    topic: &str,
) -> Result<Duration> {
    let doing = "looking whether a process died";
    let rows = query(run, &statements.suspicion, &[&topic], doing)?;
    let suspect_ms = rows.first().map(|row| column::<i64>(row, "suspect_ms"));
    let suspect_ms = suspect_ms.transpose()?.unwrap_or_default();
    Ok(Duration::from_millis(suspect_ms.max(0).unsigned_abs()))
}

/// Makes the row that strict receivers of a topic lock for their turn.
pub(crate) fn ensure_turn(run: &mut dyn Run, statements: &Statements, topic: &str) -> Result<()> {
    let doing = format!("making the turn of topic {topic}");
    execute(run, &statements.ensure_turn, &[&topic], &doing)?;
    Ok(())
}
