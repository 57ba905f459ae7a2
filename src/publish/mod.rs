//! Publishing: one message becomes a copy in every topic that subscribed to a matching pattern.
//!
//! The copies are ordinary messages. They are made in the sender's process, admitted as sends are,
//! and stored with the session's other messages. So who gets one has to be known before they are
//! stored, and asking the database for each message would cost a round trip.
//!
//! # Whom a publish reaches
//!
//! A publish that begins after `subscribe` returned, in any process, reaches it; one that begins
//! after `unsubscribe` returned does not. In between, it may or may not. Whatever it reaches are
//! the subscriptions of one moment between its call and its COMMIT, never a part of a change.
//!
//! A process keeps all subscriptions that it last read, and their *version*, an id that every
//! change renews in its transaction ([`cache`]). What is published is matched with them, and the
//! flight that stores the copies first checks that the version is still the same. It was so when it
//! was read, before the publish began, and is so now; so it was so all the time. If it is another
//! one:
//!
//! - A session of one's own matches again with what is there now, and flies again. The check is in
//!   a savepoint, so that what the session did before is not lost.
//! - A handler's transaction runs again, as after a serialization failure, and nobody is charged.
//!   For a while then, publishes ask before they match.
//! - In a caller's transaction, nothing can be done over. There, each publish asks first.
//!
//! Who asks within the transaction reads the version in a statement that begins after the publish
//! did, which is as good as the check. Where statements see what was there when the transaction
//! began (REPEATABLE READ), asking there proves nothing; the process asks on another connection.
//!
//! # What the sender is told
//!
//! The number of copies is that of the first matching. So that it is right, a publish relies on
//! what was read or checked within the last [`FRESH`] only, and asks otherwise; and `subscribe` and
//! `unsubscribe` return that much later than they committed. This is about the number alone: clocks
//! decide nothing about who gets a copy.

pub(crate) mod cache;
pub(crate) mod ephemeral;
pub(crate) mod index;
pub(crate) mod round;

use crate::connect::connection::Connection;
use crate::db::{Flight, Run, Statement, Value, column, commands, query, sql};
use crate::words::filter_program::Program;
use crate::words::limits::micros;
use crate::words::pattern::check_pattern;
use crate::words::topic;
use crate::words::{Filter, Result, classify};
use postgres::{Row, SimpleQueryRow};
use serde::{Serialize, Serializer};
use std::time::Duration;
use uuid::Uuid;

static CHECK_SUBSCRIPTIONS: Statement = sql!("check_subscriptions", Kept);
static LOOK_SUBSCRIPTIONS: Statement = sql!("look_subscriptions", Kept);
static RENEW_VERSION: Statement = sql!("renew_version", Kept);
static SUBSCRIBE: Statement = sql!("subscribe", Key);
static SUBSCRIPTIONS: Statement = sql!("subscriptions", Anew);
static UNSUBSCRIBE: Statement = sql!("unsubscribe", Key);

/// How young what a process knows has to be for a publish that does not ask. Long enough that a
/// thread that publishes all the time asks for one in some twenty publishes only, and short enough
/// that nobody minds that it is added to each `subscribe`.
pub(crate) const FRESH: Duration = Duration::from_millis(10);
/// How long after its COMMIT a change is returned from: a little more, should clocks differ in
/// pace.
pub(crate) const SETTLE: Duration = Duration::from_millis(12);

/// The header that tells a subscriber the key with which a message was published.
pub(crate) const ROUTING_KEY: &str = "outtray-routing-key";

pub(crate) const LOOKING: &str = "reading subscriptions";
const CHANGING: &str = "changing subscriptions";

/// A subscription: whatever is published with a key that matches its pattern is copied to its
/// topic.
///
/// Its JSON is that of `outtray subscriptions --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Subscription {
    /// Which messages the topic gets, by their headers; `None`: all whose keys match.
    #[serde(serialize_with = "as_text")]
    pub filter: Option<Filter>,
    /// What is wrong with a subscription that was written by hand: it gets nothing. `None` for
    /// every other.
    pub flaw: Option<String>,
    /// Whether it ends with its holder.
    pub is_ephemeral: bool,
    /// The pattern of routing keys.
    pub pattern: String,
    /// The topic that gets the copies.
    pub topic: String,
}

fn as_text<S: Serializer>(filter: &Option<Filter>, to: S) -> Result<S::Ok, S::Error> {
    filter.as_ref().map(ToString::to_string).serialize(to)
}

/// What a process asked about subscriptions, and was told.
pub(crate) struct Seen {
    pub(crate) version: Option<Uuid>,
    /// Whether it is what is there now, and not what was there when the transaction began.
    pub(crate) is_latest: bool,
    /// All of them, unless the version is the one that is known.
    pub(crate) all: Option<Vec<Stored>>,
}

/// A subscription as it is stored.
pub(crate) struct Stored {
    pub(crate) topic: String,
    pub(crate) pattern: String,
    filter: Option<String>,
}

impl Stored {
    /// Reads its filter; an error says what of it all cannot be read.
    pub(crate) fn check(&self) -> Result<Option<Filter>> {
        topic::check(&self.topic)?;
        check_pattern(&self.pattern)?;
        let Some(text) = &self.filter else {
            return Ok(None);
        };
        let filter: Filter = text.parse()?;
        filter.check(&self.topic)?;
        Ok(Some(filter))
    }
}

/// The version that a process knows; `None` while it knows nothing. Inside, `None` while nobody
/// ever subscribed.
pub(crate) type KnownVersion = Option<Option<Uuid>>;

fn known(version: KnownVersion) -> Option<Uuid> {
    // No change has this one.
    version.unwrap_or(Some(Uuid::nil()))
}

/// Appends the question whether the subscriptions are those of a version, or which they are.
pub(crate) fn push_look(flight: &mut Flight, version: KnownVersion) {
    let version = known(version).map_or(Value::Null, Value::Uuid);
    flight.call(&LOOK_SUBSCRIPTIONS, &[version]);
}

/// Asks the same by itself.
pub(crate) fn look(run: &mut dyn Run, version: KnownVersion) -> Result<Seen> {
    let rows = query(run, &LOOK_SUBSCRIPTIONS, &[&known(version)], LOOKING)?;
    let read = |row: &Row| {
        let version: Option<String> = column(row, "version")?;
        let topic: Option<String> = column(row, "topic")?;
        let stored = topic.map(|topic| {
            Ok(Stored {
                topic,
                pattern: column(row, "pattern")?,
                filter: column(row, "filter")?,
            })
        });
        Ok(LookRow {
            version,
            sees_latest: column(row, "sees_latest")?,
            is_changed: column(row, "is_changed")?,
            stored: stored.transpose()?,
        })
    };
    collect(rows.iter().map(read))
}

/// Reads the answer from the rows of a flight that began the transaction, so that it sees what is
/// there now.
pub(crate) fn looked(rows: &[SimpleQueryRow]) -> Result<Seen> {
    let read = |row: &SimpleQueryRow| {
        let text = |name: &str| {
            let found = row.try_get(name).map_err(|error| classify(error, LOOKING));
            found.map(|found| found.map(str::to_owned))
        };
        let stored = text("topic")?.map(|topic| {
            Ok(Stored {
                topic,
                pattern: text("pattern")?.unwrap_or_default(),
                filter: text("filter")?,
            })
        });
        Ok(LookRow {
            version: text("version")?,
            sees_latest: true,
            is_changed: text("is_changed")?.as_deref() == Some("t"),
            stored: stored.transpose()?,
        })
    };
    collect(rows.iter().map(read))
}

struct LookRow {
    version: Option<String>,
    sees_latest: bool,
    is_changed: bool,
    stored: Option<Stored>,
}

fn collect(rows: impl Iterator<Item = Result<LookRow>>) -> Result<Seen> {
    let mut look = Seen {
        version: None,
        is_latest: true,
        all: None,
    };
    for row in rows {
        let row = row?;
        look.version = row.version.and_then(|version| version.parse().ok());
        look.is_latest = row.sees_latest;
        if row.is_changed {
            look.all.get_or_insert_default().extend(row.stored);
        }
    }
    Ok(look)
}

/// Appends the check that subscriptions are still those of a version.
pub(crate) fn push_check(flight: &mut Flight, version: Option<Uuid>) {
    let version = version.unwrap_or(Uuid::nil());
    flight.call(&CHECK_SUBSCRIPTIONS, &[Value::Uuid(version)]);
}

/// What is subscribed, or no longer.
pub(crate) struct TopicPattern<'a> {
    pub(crate) topic: &'a str,
    pub(crate) pattern: &'a str,
}

/// Subscribes, in a transaction of its own; returns whether that is new.
pub(crate) fn subscribe(
    connection: &mut Connection,
    pair: &TopicPattern<'_>,
    filter: Option<&Filter>,
    grace: Option<Duration>,
    then: Then<'_>,
) -> Result<bool> {
    let program = filter.map(|filter| Program::of(filter).document(filter));
    let filter = filter.map(ToString::to_string);
    let grace_us = grace.map(micros);
    let is_new = |rows: &[SimpleQueryRow]| {
        let is_new = |row: &SimpleQueryRow| row.try_get("is_new").ok().flatten() == Some("t");
        rows.iter().any(is_new)
    };
    let rows = changed_then(connection, then, &is_new, |flight| {
        let values = [
            Value::Text(pair.topic),
            Value::Text(pair.pattern),
            filter.as_deref().map_or(Value::Null, Value::Text),
            grace_us.map_or(Value::Null, Value::Number),
            program.as_deref().map_or(Value::Null, Value::Text),
        ];
        flight.call(&SUBSCRIBE, &values);
    })?;
    Ok(is_new(&rows))
}

/// Ends a subscription, in a transaction of its own; returns whether there was one.
pub(crate) fn unsubscribe(
    connection: &mut Connection,
    pair: &TopicPattern<'_>,
    then: Then<'_>,
) -> Result<bool> {
    let was_there = |rows: &[SimpleQueryRow]| !rows.is_empty();
    let rows = changed_then(connection, then, &was_there, |flight| {
        let values = [Value::Text(pair.topic), Value::Text(pair.pattern)];
        flight.call(&UNSUBSCRIBE, &values);
    })?;
    Ok(was_there(&rows))
}

/// What is done in the transaction of a change that changed something.
pub(crate) type Then<'t> = Option<&'t mut dyn FnMut(&mut dyn Run) -> Result<()>>;

/// Changes subscriptions, and does something more in the same transaction, if there is anything and
/// the rows say that something changed.
fn changed_then(
    connection: &mut Connection,
    then: Then<'_>,
    has_changed: &dyn Fn(&[SimpleQueryRow]) -> bool,
    change: impl FnOnce(&mut Flight),
) -> Result<Vec<SimpleQueryRow>> {
    let Some(then) = then else {
        return changed(connection, change);
    };
    let mut open = connection.read_committed(CHANGING)?;
    let mut flight = open.flight();
    flight.call(&RENEW_VERSION, &[Value::Uuid(Uuid::now_v7())]);
    change(&mut flight);
    let rows = open
        .fly(flight)
        .map_err(|error| classify(error, CHANGING))?;
    if has_changed(&rows) {
        then(&mut open)?;
    }
    open.transaction
        .commit()
        .map_err(|error| classify(error, CHANGING))?;
    Ok(rows)
}

/// Changes subscriptions in one flight: first the version, whose lock keeps others from it.
pub(crate) fn changed(
    connection: &mut Connection,
    change: impl FnOnce(&mut Flight),
) -> Result<Vec<SimpleQueryRow>> {
    let mut flight = connection.flight();
    flight.begin();
    flight.call(&RENEW_VERSION, &[Value::Uuid(Uuid::now_v7())]);
    change(&mut flight);
    flight.command(&commands::PROVE);
    flight.commit();
    connection
        .fly(flight)
        .map_err(|error| classify(error, CHANGING))
}

/// Returns all subscriptions, sorted by topic and pattern.
pub(crate) fn list(run: &mut dyn Run) -> Result<Vec<Subscription>> {
    let rows = query(run, &SUBSCRIPTIONS, &[], LOOKING)?;
    rows.iter()
        .map(|row| {
            let stored = Stored {
                topic: column(row, "topic")?,
                pattern: column(row, "pattern")?,
                filter: column(row, "filter")?,
            };
            let is_ephemeral = column(row, "is_ephemeral")?;
            let (topic, pattern) = (stored.topic.clone(), stored.pattern.clone());
            let (filter, flaw) = match stored.check() {
                Ok(filter) => (filter, None),
                Err(error) => (None, Some(error.to_string())),
            };
            Ok(Subscription {
                filter,
                flaw,
                is_ephemeral,
                pattern,
                topic,
            })
        })
        .collect()
}
