//! History: how messages ended, of topics that keep it.
//!
//! A row is written in the transaction that ends its message, so it is there if and only if the
//! message is gone, or a dead letter. Whatever removes messages writes the rows in its own
//! statement, where the topic's settings say so. Only the statements that acknowledge are the hot
//! path, and have a second form that records what it removes, for topics that this process knows to
//! keep a history. Of what ended together there it writes a row for all that have everything in
//! common but their ids and the times when they were sent: mostly one for a transaction.
//!
//! Rows are in eight partitions by the five days in which they are over. Each is emptied as a
//! whole, and used again.

pub(crate) mod ended;
pub(crate) mod query;
pub(crate) mod round;

use crate::db::{Flight, Statement, Value, sql};
use crate::message::end::How;
use crate::observe::process_name::process_name;
use crate::settings::cache::Configs;
use crate::words::limits::micros;
use crate::words::{ClaimPlace, MessageId};
use std::time::Duration;
use uuid::Uuid;

static END_RECORDED: Statement = sql!("end_recorded", Keys);
static RECORD_LEASE: Statement = sql!("record_lease", Key);

/// Returns whether a topic keeps a history, as far as this process knows.
pub(crate) fn is_kept(configs: &Configs, topic: &str) -> bool {
    configs
        .get(topic)
        .is_some_and(|setting| setting.config.keep_done.is_some())
}

/// Appends the removal of messages, as [`settle::push_acknowledge`](crate::message::settle), and
/// its record; the transaction began so long ago. With what the handlers of some recorded.
pub(crate) fn push_end(
    flight: &mut Flight,
    topic: &str,
    how: How,
    places: &[ClaimPlace],
    since_begin: Duration,
    results: &[(MessageId, &str)],
) {
    let column = |read: fn(&ClaimPlace) -> i64| Value::Numbers(places.iter().map(read).collect());
    let values = [
        Value::Text(topic),
        column(|place| place.rank.into()),
        column(|place| place.seq),
        Value::Text(how.as_str()),
        Value::Text(process_name()),
        Value::Number(micros(since_begin)),
        Value::Uuids(results.iter().map(|(id, _)| id.0).collect()),
        Value::Texts(results.iter().map(|(_, result)| Some(*result)).collect()),
    ];
    flight.call(&END_RECORDED, &values);
}

/// A message under a lease that the next statement removes.
pub(crate) struct EndingLease<'l> {
    pub(crate) id: MessageId,
    pub(crate) receipt: Uuid,
    /// How long ago it was taken, if that is known.
    pub(crate) since_taken: Option<Duration>,
    pub(crate) how: How,
    /// What its handler recorded, as JSON.
    pub(crate) result: Option<&'l str>,
}

/// Appends the record of a leased message, which is only written if its receipt is still good.
pub(crate) fn push_lease(flight: &mut Flight, topic: &str, ending: &EndingLease<'_>) {
    let since_taken = ending.since_taken.map(micros);
    let values = [
        Value::Text(topic),
        Value::Uuid(ending.id.0),
        Value::Uuid(ending.receipt),
        Value::Text(ending.how.as_str()),
        Value::Text(process_name()),
        since_taken.map_or(Value::Null, Value::Number),
        ending.result.map_or(Value::Null, Value::Text),
    ];
    flight.call(&RECORD_LEASE, &values);
}
