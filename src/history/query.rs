//! Which ends of messages are wanted, and looking for them.

use crate::db::{Params, Run, Statement, query, sql};
use crate::history::ended::{EndedMessage, read};
use crate::schedule;
use crate::words::completion::How;
use crate::words::limits::{count, micros};
use crate::words::{Error, MessageId, Result, topic};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

static HISTORY: Statement = sql!("history", Anew);
static HISTORY_OF_HOW: Statement = sql!("history_of_how", Anew);
static HISTORY_OF_ID: Statement = sql!("history_of_id", Anew);
static HISTORY_OF_KEY: Statement = sql!("history_of_key", Anew);

const DOING: &str = "looking into the history";
/// The most that are returned at a time.
const MOST: usize = 10_000;
/// After every time that is asked for: the year 10000.
const END_US: i64 = 253_402_300_800_000_000;

/// Which ended messages are wanted of the history, for
/// [`Messaging::history`](crate::Messaging::history): the last ones of a topic first, 100 unless
/// something else is said.
///
/// ```
/// use outtray::{How, HistoryQuery};
/// use std::time::Duration;
///
/// let failed = HistoryQuery::topic("orders")
///     .how(How::Dead)
///     .within(Duration::from_secs(3600))
///     .limit(20);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryQuery {
    topic: Option<String>,
    id: Option<MessageId>,
    key: Option<String>,
    how: Option<How>,
    since: Option<SystemTime>,
    within: Option<Duration>,
    until: Option<SystemTime>,
    before: Option<(SystemTime, MessageId)>,
    limit: usize,
}

impl HistoryQuery {
    /// Asks for the messages of a topic.
    pub fn topic(topic: impl Into<String>) -> Self {
        HistoryQuery {
            topic: Some(topic.into()),
            id: None,
            key: None,
            how: None,
            since: None,
            within: None,
            until: None,
            before: None,
            limit: 100,
        }
    }

    /// Asks for the ends of one message, of whichever topic.
    pub fn message(id: MessageId) -> Self {
        HistoryQuery {
            topic: None,
            ..HistoryQuery::topic("").id(id)
        }
    }

    /// Only the message with this id. Times, keys and ways to end are not looked at then.
    pub fn id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// Only messages that were sent with this key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Only messages that ended in this way.
    pub fn how(mut self, how: How) -> Self {
        self.how = Some(how);
        self
    }

    /// Only messages that ended at this time of the database's clock, or later.
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Only messages that ended within this time, by the database's clock.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self
    }

    /// Only messages that ended before this time of the database's clock.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.until = Some(time);
        self
    }

    /// Goes on after the last message of a page: only messages that come after it in this order.
    pub fn after(mut self, last: &EndedMessage) -> Self {
        self.before = Some((last.ended_at, last.id));
        self
    }

    /// Returns so many at most. Default 100; up to 10,000.
    pub fn limit(mut self, messages: usize) -> Self {
        self.limit = messages.min(MOST);
        self
    }

    /// Looks for them, each way by its index.
    pub(crate) fn run(&self, run: &mut dyn Run) -> Result<Vec<EndedMessage>> {
        if let Some(name) = &self.topic {
            topic::check(name)?;
        }
        let limit = count(self.limit);
        let rows = match (&self.id, &self.topic) {
            (Some(id), topic) => query(run, &HISTORY_OF_ID, &[&id.0, &limit, topic], DOING)?,
            (None, Some(topic)) => {
                let how = self.how.map(How::as_str);
                let since = self.since_us(run)?;
                let (before, id) = self.before();
                let params: Params<'_> = &[topic, &since, &before, &id, &limit, &how];
                match (&self.key, self.how) {
                    (Some(key), _) => {
                        let params: Params<'_> = &[topic, &since, &before, &id, &limit, &how, key];
                        query(run, &HISTORY_OF_KEY, params, DOING)?
                    }
                    (None, Some(how)) if how != How::Done => {
                        query(run, &HISTORY_OF_HOW, params, DOING)?
                    }
                    _ => query(run, &HISTORY, params, DOING)?,
                }
            }
            (None, None) => {
                return Err(Error::invalid("a history is asked for by a topic or an id"));
            }
        };
        rows.iter().map(read).collect()
    }

    /// Returns from when on, in microseconds since 1970.
    fn since_us(&self, run: &mut dyn Run) -> Result<i64> {
        let since = self.since.map_or(0, since_1970);
        Ok(match self.within {
            Some(within) => since.max(schedule::clock(run)?.saturating_sub(micros(within))),
            None => since,
        })
    }

    /// Returns before what: a time in microseconds since 1970, and at that time an id.
    fn before(&self) -> (i64, Uuid) {
        let until = self.until.map_or(END_US, since_1970).min(END_US);
        match self.before {
            Some((time, id)) if since_1970(time) < until => (since_1970(time), id.0),
            _ => (until, Uuid::nil()),
        }
    }
}

fn since_1970(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, micros)
}
