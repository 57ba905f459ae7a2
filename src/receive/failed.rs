//! What is written about messages that failed: where they wait or stay, and what their ends call
//! for.

use crate::connect::transaction::OpenTransaction;
use crate::db::run::Run;
use crate::keys;
use crate::message::settle::{self, Burial, Retry};
use crate::on_end;
use crate::receive::line::Line;
use crate::receive::settled::Settled;
use crate::session::handler_session::HandlerSession;
use crate::words::error::Result;
use crate::words::sqlstate::classify;
use std::time::Duration;

/// Moves messages that are held and wait for their next attempts to where they wait longer or stay.
pub(crate) fn move_waiting(
    line: &Line,
    run: &mut dyn Run,
    retries: &[Retry],
    burials: &[Burial],
) -> Result<()> {
    for retry in retries {
        settle::retry_waiting(run, &line.topic, retry)?;
    }
    for burial in burials {
        settle::bury_waiting(run, &line.topic, burial)?;
    }
    Ok(())
}

/// Writes what the ends of messages call for.
pub(crate) fn write_ends(
    line: &Line,
    open: &mut OpenTransaction<'_>,
    settled: &Settled,
) -> Result<()> {
    let ends = settled.ends();
    if ends.is_empty() {
        return Ok(());
    }
    let mut flight = open.flight().seldom();
    on_end::push_ended(&mut flight, &line.topic, &ends);
    let mut rows = open
        .fly(flight)
        .map_err(|error| classify(error, "writing how a message ended"))?;
    let ended = settled.ended().map(|(held, _)| held);
    line.note_promoted(&keys::take_promoted(&mut rows), ended);
    Ok(())
}

/// Moves failed messages to where they wait or stay, at the top level of the transaction.
pub(crate) fn settle(
    line: &Line,
    session: &mut HandlerSession<'_>,
    retries: &[Retry],
    burials: &[Burial],
) -> Result<()> {
    if retries.is_empty() && burials.is_empty() {
        return Ok(());
    }
    let since_begin = session.since_begin();
    move_held(line, session.top()?, retries, burials, since_begin)
}

/// Moves messages that are held to where they wait or stay.
pub(crate) fn move_held(
    line: &Line,
    run: &mut dyn Run,
    retries: &[Retry],
    burials: &[Burial],
    since_begin: Duration,
) -> Result<()> {
    if line.options.is_strict {
        for retry in retries {
            settle::postpone_head(run, &line.topic, retry, since_begin)?;
        }
    } else if !retries.is_empty() {
        settle::retry(run, &line.topic, retries)?;
    }
    if !burials.is_empty() {
        settle::bury(run, &line.topic, burials)?;
    }
    Ok(())
}
