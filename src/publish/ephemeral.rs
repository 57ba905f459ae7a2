//! Ephemeral topics: those of ephemeral subscriptions, and those for replies. Each ends with
//! whoever holds it, by a row of `subscription`; that of a topic for replies has no pattern.
//!
//! A holder that ends removes the subscription and then the topic's messages. For one that dies,
//! nobody does: so its process says again and again that its subscriptions are wanted, and whoever
//! finds that nobody said so for the *grace time* removes them. A process says it for all of its
//! subscriptions in one statement, and only where it has any.
//!
//! A publisher that had matched before the end may commit afterwards, and its copy is left in a
//! topic that nobody reads; so may a replier. So messages in topics with names of this kind and
//! without a subscription are removed, too, now and then. A subscription is committed before
//! anything comes to its topic, so such a topic never has one again.

use crate::connect::connection::Connection;
use crate::db::{Flight, Params, Run, Statement, Value, column, execute, query, sql};
use crate::dead_letters::slices::{SLICE, Slice, end_slice, prune_dead};
use crate::observe::event::Event;
use crate::publish::changed;
use crate::threads::mutex::Mutex;
use crate::topics;
use crate::wake::waker::Waker;
use crate::words::limits::micros;
use crate::words::{Result, topic};
use postgres::SimpleQueryRow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

static EXPIRED_SUBSCRIPTIONS: Statement = sql!("expired_subscriptions", Kept);
static HOLD_TOPIC: Statement = sql!("hold_topic", Kept);
static KEEP_SUBSCRIBED: Statement = sql!("keep_subscribed", Kept);
static ORPHANED_TOPICS: Statement = sql!("orphaned_topics", Kept);
static REMOVE_EXPIRED: Statement = sql!("remove_expired", Keys);
static UNSUBSCRIBE_TOPIC: Statement = sql!("unsubscribe_topic", Key);

/// What the names of such topics begin with; 32 hexadecimal digits follow.
pub(crate) const PREFIX: &str = "outtray.ephemeral.";
/// Topics that are looked for at a time.
const AT_A_TIME: i64 = 100;
const REMOVING: &str = "removing ephemeral topics";

/// Returns whether a topic ends with its holder.
pub(crate) fn is_temporary(topic: &str) -> bool {
    [topic::REPLIES, PREFIX]
        .iter()
        .any(|prefix| topic.starts_with(prefix))
}

/// Returns the name of a topic that nobody has, for a subscription.
pub(crate) fn new_topic() -> String {
    format!("{PREFIX}{}", Uuid::now_v7().simple())
}

/// The same for replies. Nobody can guess it who was not asked.
pub(crate) fn new_reply_topic() -> String {
    format!("{}{}", topic::REPLIES, Uuid::new_v4().simple())
}

/// The ephemeral topics that this process holds.
#[derive(Debug, Default)]
pub(crate) struct Holdings(Mutex<HashMap<String, Holding>>);

#[derive(Debug)]
struct Holding {
    grace: Duration,
    is_lost: Arc<AtomicBool>,
}

impl Holdings {
    /// Notes that a topic's subscriptions, which are there, are wanted until it is
    /// [left](Self::leave). If they are gone all the same, sets `is_lost`.
    pub(crate) fn hold(&self, topic: &str, grace: Duration, is_lost: &Arc<AtomicBool>) {
        let is_lost = Arc::clone(is_lost);
        let holding = Holding { grace, is_lost };
        self.0.lock().insert(topic.to_owned(), holding);
    }

    pub(crate) fn leave(&self, topic: &str) {
        self.0.lock().remove(topic);
    }

    /// Returns the shortest grace time; `None` where nothing is held.
    pub(crate) fn shortest(&self) -> Option<Duration> {
        let held = self.0.lock();
        held.values().map(|holding| holding.grace).min()
    }

    /// Says that all that is held is wanted. Returns those of which no subscription is left.
    pub(crate) fn keep(&self, run: &mut dyn Run) -> Result<Vec<String>> {
        let topics: Vec<String> = self.0.lock().keys().cloned().collect();
        let rows = query(run, &KEEP_SUBSCRIBED, &[&topics], "keeping subscriptions")?;
        let kept = rows.iter().map(|row| column::<String>(row, "topic"));
        let kept = kept.collect::<Result<BTreeSet<String>>>()?;
        let mut held = self.0.lock();
        let lost = topics.into_iter().filter(|topic| !kept.contains(topic));
        let lost = lost.filter(|topic| match held.remove(topic) {
            Some(holding) => {
                holding.is_lost.store(true, Ordering::Relaxed);
                true
            }
            // It was left meanwhile.
            None => false,
        });
        Ok(lost.collect())
    }
}

/// Holds a topic that gets no copies of anything, in a transaction of its own.
pub(crate) fn hold_topic(run: &mut dyn Run, topic: &str, grace: Duration) -> Result<()> {
    let params: Params<'_> = &[&topic, &micros(grace)];
    execute(run, &HOLD_TOPIC, params, "holding a topic for replies").map(drop)
}

/// Ends that.
pub(crate) fn let_go(run: &mut dyn Run, topic: &str) -> Result<()> {
    execute(run, &UNSUBSCRIBE_TOPIC, &[&topic], REMOVING).map(drop)
}

/// Ends all subscriptions of a topic.
pub(crate) fn end(connection: &mut Connection, topic: &str) -> Result<()> {
    let push = |flight: &mut Flight| flight.call(&UNSUBSCRIBE_TOPIC, &[Value::Text(topic)]);
    changed(connection, push).map(drop)
}

/// Ends subscriptions whose time is over; returns their topics, and whether there may be more.
pub(crate) fn end_expired(connection: &mut Connection) -> Result<(Vec<String>, bool)> {
    let expired = found(connection, &EXPIRED_SUBSCRIPTIONS)?;
    if expired.is_empty() {
        // Others need not read anew.
        return Ok((Vec::new(), false));
    }
    let rows = changed(connection, |flight| {
        let topics = expired.iter().map(|topic| Some(topic.as_str()));
        flight.call(&REMOVE_EXPIRED, &[Value::Texts(topics.collect())]);
    })?;
    let topic = |row: &SimpleQueryRow| row.try_get("topic").ok().flatten().map(str::to_owned);
    let removed: BTreeSet<String> = rows.iter().filter_map(topic).collect();
    let may_be_more = expired.len() as i64 >= AT_A_TIME && !removed.is_empty();
    Ok((removed.into_iter().collect(), may_be_more))
}

/// Returns topics whose subscriptions ended, with messages that came later.
pub(crate) fn orphaned(run: &mut dyn Run) -> Result<Vec<String>> {
    found(run, &ORPHANED_TOPICS)
}

fn found(run: &mut dyn Run, statement: &'static Statement) -> Result<Vec<String>> {
    let rows = query(run, statement, &[&AT_A_TIME], REMOVING)?;
    rows.iter().map(|row| column(row, "topic")).collect()
}

/// Removes the messages of a topic, also its dead letters, but for what somebody has in hand: for
/// `turn` at most. Returns whether there may be more.
pub(crate) fn empty(
    connection: &mut Connection,
    waker: &Waker,
    topic: &str,
    turn: Duration,
) -> Result<bool> {
    let started = Instant::now();
    type Take = fn(&mut dyn Run, &str) -> Result<Slice>;
    let takes: [(bool, Take); 2] = [
        (false, |run, topic| {
            topics::purge(run, topic).map(|(slice, _)| slice)
        }),
        (true, |run, topic| prune_dead(run, topic, Duration::ZERO)),
    ];
    for (are_dead, take) in takes {
        loop {
            let messages = remove(connection, waker, topic, take)?;
            if messages > 0 {
                waker.observers.tell(|| Event::Purged {
                    topic,
                    messages,
                    were_dead: are_dead,
                });
            }
            if messages < SLICE as u64 {
                break;
            }
            if started.elapsed() >= turn {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Removes a slice in one transaction, with all that the ends of its messages call for.
fn remove(
    connection: &mut Connection,
    waker: &Waker,
    topic: &str,
    take: impl FnOnce(&mut dyn Run, &str) -> Result<Slice>,
) -> Result<u64> {
    let slice = end_slice(connection, waker, topic, REMOVING, take)?;
    if slice.messages > 0 {
        waker.keys_ended();
        waker.look_at(slice.tracked());
    }
    Ok(slice.messages)
}
