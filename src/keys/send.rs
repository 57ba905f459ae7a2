//! Stores messages of which some have keys.

use crate::db::flight::Flight;
use crate::db::run::Run;
use crate::db::statement::{Statement, sql};
use crate::db::value::Value;
use crate::keys::{self, LOCK_LANES};
use crate::message::send::send_all;
use crate::message::written::{Columns, RareColumns};
use crate::words::Result;
use crate::words::outgoing::Outgoing;

static SEND_KEYED: Statement = sql!("send_keyed", Keys);

/// Stores messages that are ready at once, in the order given: two statements of a transaction, for
/// all of them together, so that those with and without a key stay in order. Blocks while other
/// senders of these keys have their transactions open.
pub(crate) fn send(run: &mut dyn Run, messages: &[Outgoing]) -> Result<()> {
    let topics: Vec<&str> = messages
        .iter()
        .map(|outgoing| outgoing.message.topic.as_str())
        .collect();
    let keys = RareColumns::of(messages).keys;
    keys::lock(run, &topics, &keys)?;
    // In a statement of its own, which sees what was done while the first one waited.
    send_all(run, &SEND_KEYED, messages)
}

/// Appends the storing of messages some of which have keys to a flight of the transaction's end.
pub(crate) fn push(flight: &mut Flight, messages: &[Outgoing]) {
    let columns = Columns::of(messages);
    let options = RareColumns::of(messages);
    let topics = || Value::Texts(columns.topics.iter().map(|topic| Some(*topic)).collect());
    let lanes = [topics(), Value::Texts(options.keys.clone())];
    let wide = |number: &Option<i16>| number.map(i64::from);
    let values = [
        topics(),
        Value::Numbers(columns.ranks.iter().copied().map(i64::from).collect()),
        Value::Uuids(columns.ids),
        Value::Texts(options.keys),
        Value::MaybeNumbers(options.expiries),
        Value::MaybeNumbers(options.on_ends.iter().map(wide).collect()),
        Value::Texts(columns.headers.iter().map(Option::as_deref).collect()),
        Value::Texts(columns.payloads),
        Value::MaybeBytes(columns.bodies),
    ];
    flight.call(&LOCK_LANES, &lanes);
    flight.call(&SEND_KEYED, &values);
}
