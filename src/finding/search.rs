//! What a search is for, and the pages in which it is answered.

use crate::finding::cursor::SearchCursor;
use crate::finding::found::FoundMessage;
use crate::finding::place::MessagePlace;
use crate::words::envelope::MESSAGE_TYPE;
use crate::words::limits::{key_flaw, micros_since_1970};
use crate::words::{Error, Filter, Program, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// The most messages of a page.
const MAX_LIMIT: usize = 1_000;
/// The most messages that are looked at for a page: some tenths of a second.
const MAX_LOOK_AT: usize = 100_000;

/// The least and the greatest times that are looked for, in microseconds since 1970: the years 1
/// and 9999.
const TIMES: (i64, i64) = (-62_135_596_800_000_000, 253_402_214_400_000_000);

/// Which messages of a topic are looked for by [`Topic::search`](crate::Topic::search): those for
/// which everything holds that is said. Nothing said, all of them.
///
/// ```
/// use outtray::{Filter, MessagePlace, Search};
///
/// let large: Filter = "amount >= 1000".parse()?;
/// let search = Search::new()
///     .place(MessagePlace::Dead)
///     .error("timed out")
///     .filter(&large)
///     .limit(20);
/// # Ok::<(), outtray::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a search is made by Topic::search"]
pub struct Search {
    pub(super) places: Vec<MessagePlace>,
    pub(super) key: Option<String>,
    filter: Option<Filter>,
    pub(super) error: Option<String>,
    pub(super) shape: Option<String>,
    pub(super) from_us: i64,
    pub(super) before_us: i64,
    pub(super) limit: usize,
    pub(super) look_at: usize,
    pub(super) after: Option<SearchCursor>,
}

impl Default for Search {
    fn default() -> Self {
        Search::new()
    }
}

impl Search {
    /// Makes one that wants everything.
    pub fn new() -> Self {
        Search {
            places: Vec::new(),
            key: None,
            filter: None,
            error: None,
            shape: None,
            from_us: TIMES.0,
            before_us: TIMES.1,
            limit: 50,
            look_at: 10_000,
            after: None,
        }
    }

    /// Looks in this place alone, or in several that are said one after the other. Default: in all.
    pub fn place(mut self, place: MessagePlace) -> Self {
        self.places.push(place);
        self
    }

    /// Wants those with this key. 1 to 512 bytes without NUL.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Wants those whose headers match a filter; said twice, both.
    pub fn filter(mut self, filter: &Filter) -> Self {
        self.filter = Some(match self.filter.take() {
            Some(before) => before.and(filter.clone()),
            None => filter.clone(),
        });
        self
    }

    /// Wants those that have this header with this value.
    pub fn header(self, name: &str, value: &str) -> Self {
        let header = Filter::new().equals(name, value);
        self.filter(&header)
    }

    /// Wants those with this header [`message-type`](crate::envelope::MESSAGE_TYPE).
    pub fn message_type(self, message_type: &str) -> Self {
        self.header(MESSAGE_TYPE, message_type)
    }

    /// Wants those whose error has this text in it, whether in capitals or not: of dead letters the
    /// one for which they were given up, of scheduled messages that of their last attempt. Others
    /// have no error.
    pub fn error(mut self, text: impl Into<String>) -> Self {
        self.error = Some(text.into());
        self
    }

    /// Wants the dead letters of an [`ErrorGroup`](crate::ErrorGroup), by its
    /// [`shape`](crate::ErrorGroup::shape).
    pub fn error_shape(mut self, shape: impl Into<String>) -> Self {
        self.shape = Some(shape.into());
        self
    }

    /// Wants those that were sent then or later, by the database's clock.
    pub fn sent_from(mut self, time: SystemTime) -> Self {
        self.from_us = micros_since_1970(time).clamp(TIMES.0, TIMES.1);
        self
    }

    /// Wants those that were sent earlier, by the database's clock.
    pub fn sent_before(mut self, time: SystemTime) -> Self {
        self.before_us = micros_since_1970(time).clamp(TIMES.0, TIMES.1);
        self
    }

    /// Sets how many messages a page has at most. Default 50; 1 to 1,000.
    pub fn limit(mut self, messages: usize) -> Self {
        self.limit = messages;
        self
    }

    /// Sets how many messages are looked at for a page. Default 10,000, some tens of milliseconds;
    /// 1 to 100,000.
    pub fn look_at(mut self, messages: usize) -> Self {
        self.look_at = messages;
        self
    }

    /// Goes on where a page ended.
    pub fn after(mut self, cursor: SearchCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Checks it before any SQL.
    pub(crate) fn check(&self, topic: &str) -> Result<()> {
        let refused = |flaw: String| Err(Error::invalid(format!("{flaw}, on topic {topic}")));
        let after = self.after.as_ref();
        if after.is_some_and(|after| after.topic.is_some()) {
            return refused("a search of all topics goes on there".to_owned());
        }
        self.check_wishes(topic)
    }

    /// Checks a search of all topics.
    pub(crate) fn check_for_all(&self) -> Result<()> {
        let after = self.after.as_ref();
        if after.is_some_and(|after| after.topic.is_none()) {
            return Err(Error::invalid("a search of one topic goes on there"));
        }
        self.check_wishes("(all)")
    }

    fn check_wishes(&self, topic: &str) -> Result<()> {
        let refused = |flaw: String| Err(Error::invalid(format!("{flaw}, on topic {topic}")));
        if let Some(flaw) = self.key.as_deref().and_then(|key| key_flaw("key", key)) {
            return refused(flaw);
        }
        for (what, text) in [("error", &self.error), ("error shape", &self.shape)] {
            if text.as_ref().is_some_and(|text| text.contains('\0')) {
                return refused(format!("the {what} to search for has a NUL character"));
            }
        }
        for (what, number, most) in [
            ("limit", self.limit, MAX_LIMIT),
            ("look_at", self.look_at, MAX_LOOK_AT),
        ] {
            if number == 0 || number > most {
                return refused(format!("{what} of a search is {number}, use 1 to {most}"));
            }
        }
        self.filter
            .as_ref()
            .map_or(Ok(()), |filter| filter.check(topic))
    }

    /// Returns the places in which there can be what it is for, in the order in which they are
    /// looked at.
    pub(super) fn looked_in(&self) -> Vec<MessagePlace> {
        let is_wanted = |place: &MessagePlace| {
            let has_errors = match place {
                MessagePlace::Dead => true,
                MessagePlace::Scheduled => self.shape.is_none(),
                _ => self.shape.is_none() && self.error.is_none(),
            };
            has_errors && (self.places.is_empty() || self.places.contains(place))
        };
        MessagePlace::ALL.into_iter().filter(is_wanted).collect()
    }

    /// Returns the same search for dead letters alone, so many at a time.
    pub(crate) fn of_dead_letters(&self, limit: usize) -> Self {
        Search {
            places: vec![MessagePlace::Dead],
            limit,
            ..self.clone()
        }
    }

    pub(super) fn program(&self) -> Option<Program> {
        self.filter.as_ref().map(Program::of)
    }

    /// Returns what it is for, for the list of changes.
    pub(crate) fn described(&self) -> Value {
        let filter = self.filter.as_ref().map(ToString::to_string);
        let said = [
            ("key", &self.key),
            ("filter", &filter),
            ("error", &self.error),
            ("error_shape", &self.shape),
        ];
        let said = said.into_iter();
        let described: Map<String, Value> = said
            .filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?))))
            .collect();
        Value::Object(described)
    }
}

/// One page of the answer to a [`Search`].
///
/// Its JSON is that of `outtray search --json`, but for the messages, each of which has a line of
/// its own there.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct SearchPage {
    /// The messages that were found: those that are ready in claim order, then those behind others
    /// by key, what is scheduled and the dead letters in the order of sending, and the entries of a
    /// log, the newest first.
    pub messages: Vec<FoundMessage>,
    /// How many messages were looked at.
    pub looked_at: u64,
    /// How many topics were looked at: one, unless all are searched.
    pub topics: u64,
    /// Where to go on; `None` when everything was looked at.
    pub next: Option<SearchCursor>,
    /// Whether it ended because it had looked at as many messages as it [may](Search::look_at), or
    /// for as long as a search of all topics may, with fewer found than it could have returned.
    #[serde(rename = "stopped_early")]
    pub is_stopped_early: bool,
}
