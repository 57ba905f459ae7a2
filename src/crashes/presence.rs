//! Which receivers run, and which vanished without signing off.

use crate::crashes::liveness::free_locks;
use crate::db::{
    Flight, Params, Run, Statement, Value, column, columns, execute, first, query, sql,
};
use crate::processes::crew_state::CrewState;
use crate::processes::identity::{ProcessIdentity, VERSION};
use crate::processes::running::UNSEEN_S;
use crate::words::Result;
use crate::words::limits::count;
use postgres::Row;
use std::time::Duration;

static DROP_LIVENESS: Statement = sql!("drop_liveness", Kept);
static END_SUSPICION: Statement = sql!("end_suspicion", Kept);
static ENROLL: Statement = sql!("enroll", Kept);
static ENSURE_TURN: Statement = sql!("ensure_turn", Kept);
static FIND_BUSY: Statement = sql!("find_busy", Kept);
static FIND_OTHERS: Statement = sql!("find_others", Kept);
static HOLD_LIVENESS: Statement = sql!("hold_liveness", Kept);
static HORIZON: Statement = sql!("horizon", Anew);
static NOTE_SHIFT: Statement = sql!("note_shift", Kept);
static REWIND_WORKERS: Statement = sql!("rewind_workers", Kept);
static SHOW_LIFE: Statement = sql!("show_life", Kept);
static SIGN_OFF: Statement = sql!("sign_off", Kept);
static SUSPECT: Statement = sql!("suspect", Kept);
static SUSPICION: Statement = sql!("suspicion", Kept);

/// A receiver's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enrolled {
    pub(crate) topic: String,
    pub(crate) id: i64,
}

/// What the row of a living receiver says, if it has to be written again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Living<'a> {
    pub(crate) enrolled: &'a Enrolled,
    pub(crate) shift: i64,
    pub(crate) most: i32,
    pub(crate) state: &'a CrewState,
}

/// Adds a row of a process that holds locks or does not; the caller takes its lock next, if so.
pub(crate) fn enroll(
    run: &mut dyn Run,
    topic: &str,
    (identity, holds_lock): (&ProcessIdentity, bool),
    most: i32,
    state: &CrewState,
) -> Result<Enrolled> {
    let doing = format!("enrolling a receiver of topic {topic}");
    let ProcessIdentity {
        process,
        host,
        pid,
        program,
    } = identity;
    let (workers, filter, lease_ms) = (count(state.workers), state.filter_text(), lease_ms(state));
    let params: Params<'_> = &[
        &topic,
        process,
        &holds_lock,
        &most,
        host,
        pid,
        program,
        &VERSION,
        &workers,
        &filter,
        &lease_ms,
    ];
    let rows = query(run, &ENROLL, params, &doing)?;
    let id = first(&rows, "id")?.unwrap_or_default();
    Ok(Enrolled {
        topic: topic.to_owned(),
        id,
    })
}

/// Takes the session locks that say these receivers live; returns the ids of those it got.
pub(crate) fn hold_liveness(run: &mut dyn Run, namespace: i64, ids: &[i64]) -> Result<Vec<i64>> {
    let doing = "showing that receivers live";
    columns(
        &query(run, &HOLD_LIVENESS, &[&namespace, &ids], doing)?,
        "id",
    )
}

/// Removes the row of a receiver that ends in peace, and gives its lock back.
pub(crate) fn sign_off(
    run: &mut dyn Run,
    namespace: Option<i64>,
    receiver: &Enrolled,
) -> Result<()> {
    let doing = "signing a receiver off";
    execute(run, &SIGN_OFF, &[&receiver.topic, &receiver.id], doing)?;
    if let Some(namespace) = namespace {
        query(run, &DROP_LIVENESS, &[&namespace, &receiver.id], doing)?;
    }
    Ok(())
}

/// Notes that these receivers live, and brings back rows that somebody removed by mistake.
pub(crate) fn show_life(
    run: &mut dyn Run,
    receivers: &[Living<'_>],
    identity: &ProcessIdentity,
    holds_lock: bool,
) -> Result<()> {
    let enrolled = receivers.iter().map(|living| living.enrolled);
    let (ids, topics): (Vec<i64>, Vec<&str>) = enrolled
        .map(|receiver| (receiver.id, receiver.topic.as_str()))
        .unzip();
    let shifts: Vec<i64> = receivers.iter().map(|living| living.shift).collect();
    let most: Vec<i32> = receivers.iter().map(|living| living.most).collect();
    let ProcessIdentity {
        process,
        host,
        pid,
        program,
    } = identity;
    let states = || receivers.iter().map(|living| living.state);
    let workers: Vec<i64> = states().map(|state| count(state.workers)).collect();
    let filters: Vec<Option<String>> = states().map(CrewState::filter_text).collect();
    let leases: Vec<Option<i64>> = states().map(lease_ms).collect();
    let busy: Vec<i64> = states().map(|state| count(state.busy)).collect();
    let in_hand: Vec<i64> = states().map(|state| count(state.in_hand)).collect();
    let handlers: Vec<Option<String>> = states().map(CrewState::handlers_text).collect();
    let params: Params<'_> = &[
        &ids,
        &topics,
        process,
        &holds_lock,
        &shifts,
        &most,
        host,
        pid,
        program,
        &VERSION,
        &workers,
        &filters,
        &leases,
        &busy,
        &in_hand,
        &handlers,
    ];
    execute(run, &SHOW_LIFE, params, "showing that receivers live").map(drop)
}

fn lease_ms(state: &CrewState) -> Option<i64> {
    let ms = state.lease?.as_millis();
    Some(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// Notes that receivers were seen now which were seen in the future, by a clock that was set back
/// since.
pub(crate) fn rewind(run: &mut dyn Run, ahead_s: i64) -> Result<()> {
    let doing = "looking for receivers of the future";
    execute(run, &REWIND_WORKERS, &[&ahead_s], doing).map(drop)
}

/// Returns receivers of other processes that are gone without signing off. One that signs off
/// meanwhile may be among them; who marks topics as suspect finds its row gone.
pub(crate) fn find_vanished(
    run: &mut dyn Run,
    namespace: i64,
    mine: &[i64],
) -> Result<Vec<Enrolled>> {
    let other = |row: &Row| {
        let enrolled = Enrolled {
            topic: column(row, "topic")?,
            id: column(row, "id")?,
        };
        Ok((enrolled, column(row, "holds_lock")?))
    };
    let rows = query(
        run,
        &FIND_OTHERS,
        &[&mine, &UNSEEN_S],
        "looking for dead receivers",
    )?;
    let others: Vec<(Enrolled, bool)> = rows.iter().map(other).collect::<Result<_>>()?;
    let locked = others.iter().filter(|(_, holds_lock)| *holds_lock);
    let locked: Vec<i64> = locked.map(|(other, _)| other.id).collect();
    let free = free_locks(run, namespace, &locked)?;
    let vanished = others
        .into_iter()
        .filter(|(other, holds_lock)| !holds_lock || free.contains(&other.id));
    Ok(vanished.map(|(other, _)| other).collect())
}

/// Returns receivers of other processes that may have messages of a topic in hand, dead or alive.
pub(crate) fn find_busy(run: &mut dyn Run, topic: &str, mine: &[i64]) -> Result<Vec<i64>> {
    let doing = "looking for receivers at work";
    columns(&query(run, &FIND_BUSY, &[&topic, &mine], doing)?, "id")
}

/// Removes vanished receivers of a topic; returns whether it became suspect by that: one may have
/// had messages in hand.
pub(crate) fn suspect(
    run: &mut dyn Run,
    topic: &str,
    vanished: &[i64],
    for_s: i64,
) -> Result<bool> {
    let rows = query(run, &HORIZON, &[&topic], "looking how far hands reach")?;
    let mut ranks = Vec::<i16>::with_capacity(rows.len());
    let mut seqs = Vec::<i64>::with_capacity(rows.len());
    for row in &rows {
        // The last one of a rank may be gone meanwhile.
        if let Some(seq) = column::<Option<i64>>(row, "seq")? {
            ranks.push(column(row, "rank")?);
            seqs.push(seq);
        }
    }
    let params: Params<'_> = &[&topic, &vanished, &for_s, &ranks, &seqs];
    let rows = query(run, &SUSPECT, params, "marking a topic as suspect")?;
    Ok(!rows.is_empty())
}

/// Ends the suspicion of a topic if nothing is left of what may have been in hand; returns whether
/// it did.
pub(crate) fn end_suspicion(run: &mut dyn Run, topic: &str) -> Result<bool> {
    let doing = "asking whether a topic is still suspect";
    let rows = query(run, &END_SUSPICION, &[&topic], doing)?;
    Ok(!rows.is_empty())
}

/// Appends the note whether a receiver may have messages in hand.
pub(crate) fn push_note_shift(flight: &mut Flight, topic: &str, receiver: i64, shift: i64) {
    let values = [
        Value::Text(topic),
        Value::Number(receiver),
        Value::Number(shift),
    ];
    flight.call(&NOTE_SHIFT, &values);
}

/// Notes whether a receiver may have messages in hand.
pub(crate) fn note_shift(run: &mut dyn Run, receiver: &Enrolled, shift: i64) -> Result<()> {
    let Enrolled { topic, id } = receiver;
    let doing = "noting that a receiver is idle";
    execute(run, &NOTE_SHIFT, &[topic, id, &shift], doing).map(drop)
}

/// Returns how long receivers of a topic are to count attempts before they run a handler.
pub(crate) fn suspicion(run: &mut dyn Run, topic: &str) -> Result<Duration> {
    let doing = "looking whether a process died";
    let rows = query(run, &SUSPICION, &[&topic], doing)?;
    let suspect_ms: i64 = first(&rows, "suspect_ms")?.unwrap_or_default();
    Ok(Duration::from_millis(suspect_ms.max(0).unsigned_abs()))
}

/// Makes the row that strict receivers of a topic lock for their turn.
pub(crate) fn ensure_turn(run: &mut dyn Run, topic: &str) -> Result<()> {
    let doing = format!("making the turn of topic {topic}");
    execute(run, &ENSURE_TURN, &[&topic], &doing).map(drop)
}
