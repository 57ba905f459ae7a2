//! Stores messages of which some have keys.

use crate::db::{Flight, Run, Statement, Value, execute, sql};
use crate::keys::{self, LOCK_LANES};
use crate::message::send::STORING;
use crate::message::written::Columns;
use crate::words::{Doing, Outgoing, Result};

static SEND_KEYED: Statement = sql!("send_keyed", Fenced);

/// Stores messages that are ready at once, in the order given: two statements of a transaction, for
/// all of them together, so that those with and without a key stay in order. Blocks while other
/// senders of these keys have their transactions open.
pub(crate) fn send(run: &mut dyn Run, messages: &[Outgoing]) -> Result<()> {
    let columns = Columns::of(messages);
    let (topics, keys) = columns.lanes();
    keys::lock(run, topics, keys)?;
    // In a statement of its own, which sees what was done while the first one waited.
    execute(run, &SEND_KEYED, &columns.full(), STORING).map(drop)
}

/// Does the same as the last of a transaction but for its COMMIT: in one flight where there are
/// flights, whose settings of the planner nothing else meets then. A plan is kept there, where the
/// driver would have it made each time, which takes two milliseconds.
pub(crate) fn send_last(run: &mut dyn Run, messages: &[Outgoing]) -> Result<()> {
    match run.fly_calls(&mut |flight| push(flight, messages)) {
        Some(flown) => flown.doing(STORING),
        None => send(run, messages),
    }
}

/// Appends the storing of messages some of which have keys to a flight of the transaction's end.
pub(crate) fn push(flight: &mut Flight, messages: &[Outgoing]) {
    let columns = Columns::of(messages);
    let (topics, keys) = columns.lanes();
    let topics = topics.iter().copied().map(Some).collect();
    flight.call(
        &LOCK_LANES,
        &[Value::Texts(topics), Value::Texts(keys.to_vec())],
    );
    flight.call(&SEND_KEYED, &columns.values());
}
