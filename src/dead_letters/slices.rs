//! Redrives and removes dead letters, slice by slice.

use crate::connect::connection::Connection;
use crate::db::{Params, Run, Statement, column, commands, query, sql};
use crate::dead_letters::selection::Selection;
use crate::message::end::{End, How};
use crate::on_end::push_ended;
use crate::wake::waker::Waker;
use crate::words::limits::millis;
use crate::words::{Doing, Result};
use postgres::Row;
use std::time::Duration;
use uuid::Uuid;

static REDRIVE: Statement = sql!("redrive", Anew);
static PURGE_DEAD: Statement = sql!("purge_dead", Anew);
static PRUNE_DEAD: Statement = sql!("prune_dead", Kept);

/// Messages that one slice of a redrive or a purge takes of each kind: its locks are held for tens
/// of milliseconds.
pub(crate) const SLICE: usize = 1000;

/// What one slice did.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) messages: u64,
    /// Those of them whose end matters; their keys are stalled.
    pub(crate) ends: Vec<End>,
    /// The last id, to go on after, if there may be more.
    last: Option<Uuid>,
}

impl Slice {
    /// Returns the messages that others may come after.
    pub(crate) fn tracked(&self) -> Vec<Uuid> {
        let tracked = self.ends.iter().filter(|end| end.is_tracked());
        tracked.map(|end| end.id.0).collect()
    }
}

/// What is left of a redrive or a purge of dead letters: each is taken once, also if it comes back
/// meanwhile.
pub(crate) struct Remaining<'w> {
    which: &'w Selection,
    /// Of those that are chosen by their ids, which are left.
    ids: Option<&'w [Uuid]>,
    after: Uuid,
    is_over: bool,
}

impl<'w> Remaining<'w> {
    pub(crate) fn of(which: &'w Selection) -> Self {
        Remaining {
            which,
            ids: which.ids(),
            after: Uuid::nil(),
            is_over: false,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Runs a statement on the next slice.
    fn take(
        &self,
        run: &mut dyn Run,
        statement: &Statement,
        topic: &str,
        doing: &str,
    ) -> Result<Slice> {
        let ids = self.ids.map(|ids| &ids[..ids.len().min(SLICE)]);
        let (key, limit, said_by) = (self.which.key_chosen(), SLICE as i64, Uuid::now_v7());
        let params: Params<'_> = &[&topic, &ids, &key, &self.after, &limit, &said_by];
        slice(&query(run, statement, params, doing)?)
    }

    /// Goes on after a slice that was committed.
    pub(crate) fn go_on(&mut self, slice: &Slice) {
        match &mut self.ids {
            Some(ids) => {
                *ids = &ids[ids.len().min(SLICE)..];
                self.is_over = ids.is_empty();
            }
            None => {
                self.after = slice.last.unwrap_or_default();
                self.is_over = slice.last.is_none();
            }
        }
    }
}

/// Moves a slice of dead letters back. Those with keys become stalled.
pub(crate) fn redrive(run: &mut dyn Run, topic: &str, rest: &Remaining<'_>) -> Result<Slice> {
    rest.take(run, &REDRIVE, topic, "redriving dead letters")
}

pub(crate) fn purge_dead(run: &mut dyn Run, topic: &str, rest: &Remaining<'_>) -> Result<Slice> {
    rest.take(run, &PURGE_DEAD, topic, "purging dead letters")
}

/// Removes a slice of the dead letters of a topic that died longer ago than this, the oldest first.
pub(crate) fn prune_dead(run: &mut dyn Run, topic: &str, retention: Duration) -> Result<Slice> {
    let kept_ms = millis(retention);
    let (limit, said_by) = (SLICE as i64, Uuid::now_v7());
    let params: Params<'_> = &[&topic, &kept_ms, &limit, &said_by];
    let doing = "removing dead letters";
    slice(&query(run, &PRUNE_DEAD, params, doing)?)
}

/// Removes or moves a slice of a topic's messages in one transaction, with all that their ends call
/// for. What was behind them, by their keys, is the caller's to move on.
pub(crate) fn end_slice(
    connection: &mut Connection,
    waker: &Waker,
    topic: &str,
    doing: &str,
    take: impl FnOnce(&mut dyn Run, &str) -> Result<Slice>,
) -> Result<Slice> {
    let mut open = connection.read_committed(doing)?;
    open.run(commands::READ_IN_ORDER).doing(doing)?;
    let slice = take(&mut open, topic)?;
    let mut flight = open.flight().seldom();
    push_ended(&mut flight, topic, &slice.ends);
    flight.command(&commands::PROVE);
    open.commit_in(flight, doing)?;
    if slice.messages > 0 {
        waker.ended_unnamed();
    }
    Ok(slice)
}

pub(crate) fn slice(rows: &[Row]) -> Result<Slice> {
    let mut slice = Slice {
        messages: 0,
        ends: Vec::new(),
        last: None,
    };
    for row in rows {
        if column::<Option<Uuid>>(row, "id")?.is_some() {
            slice.ends.push(End::read(row, How::Purged)?);
        } else {
            slice.messages = column::<i64>(row, "messages")?.unsigned_abs();
            slice.last = column(row, "last")?;
        }
    }
    Ok(slice)
}
