//! What a receiver says of itself with each sign of life, for those who look from elsewhere.

use crate::processes::running::RunningHandler;
use std::cmp::Reverse;
use std::time::Duration;

/// A handler that has run for less is not listed: it would be over before anybody reads of it, and
/// whoever handles a thousand messages a second writes no list of them.
pub(crate) const LISTED_FROM: Duration = Duration::from_secs(1);
/// The most handlers of one receiver that are listed, those that run longest.
const MOST_HANDLERS: usize = 64;
/// The most messages of one handler that are listed by their ids.
pub(crate) const MOST_IDS: usize = 16;
/// The most ids of one receiver: some 10 kB in its row.
const MOST_IDS_OF_ALL: usize = 256;
/// The most characters of a filter that are written.
const MOST_OF_A_FILTER: usize = 4000;

/// What a receiver is like, and what its workers do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CrewState {
    pub(crate) workers: usize,
    /// Which messages it wants, in the text form of a filter; `None` for all.
    pub(crate) filter: Option<String>,
    /// For how long it leases messages; `None` if it holds them in transactions.
    pub(crate) lease: Option<Duration>,
    /// Workers that are not parked.
    pub(crate) busy: usize,
    /// Messages whose handlers have begun and whose transactions have not ended.
    pub(crate) in_hand: usize,
    /// The handlers that have run for a while.
    pub(crate) handlers: Vec<RunningHandler>,
}

impl CrewState {
    /// Returns the handlers as they are written: those that run longest, and no more than a row can
    /// well hold; `None` if there are none.
    pub(crate) fn handlers_text(&self) -> Option<String> {
        if self.handlers.is_empty() {
            return None;
        }
        let mut listed = self.handlers.clone();
        listed.sort_by_key(|handler| Reverse(handler.running_for));
        listed.truncate(MOST_HANDLERS);
        let mut room = MOST_IDS_OF_ALL;
        for handler in &mut listed {
            handler.ids.truncate(room.min(MOST_IDS));
            room -= handler.ids.len();
        }
        serde_json::to_string(&listed).ok()
    }

    /// Returns the filter as it is written. Too long a one is cut: it is for people to read.
    pub(crate) fn filter_text(&self) -> Option<String> {
        let filter = self.filter.as_deref()?;
        // The longest that a sender may write has no NUL either.
        let shown = filter.chars().filter(|c| *c != '\0');
        Some(shown.take(MOST_OF_A_FILTER).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::MessageId;

    #[test]
    fn what_is_listed_of_a_receiver_has_a_limit_and_begins_with_what_runs_longest() {
        let handler = |worker: u64| RunningHandler {
            worker,
            running_for: Duration::from_secs(worker),
            messages: 40,
            ids: (0..40).map(|_| MessageId::new()).collect(),
            ..RunningHandler::default()
        };
        let state = CrewState {
            handlers: (1..=1000).map(handler).collect(),
            ..CrewState::default()
        };

        let text = state.handlers_text().unwrap();

        assert!(text.len() < 20_000, "{}", text.len());
        let read: Vec<RunningHandler> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.len(), MOST_HANDLERS);
        assert_eq!((read[0].worker, read[0].ids.len()), (1000, MOST_IDS));
        let ids: usize = read.iter().map(|handler| handler.ids.len()).sum();
        assert_eq!(ids, MOST_IDS_OF_ALL);
    }
}
