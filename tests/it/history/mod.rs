//! How messages ended is kept, of topics that are set so: one row for each end.

mod by_hand;
mod ends;
mod looking;
mod pruned;
mod together;

use crate::support::{DAY, Place};
use outtray::{EndedMessage, HistoryQuery, How, Messaging, TopicConfig};

/// Returns a place whose topic `jobs` keeps its history for a day, as this changes its settings.
fn place_with(change: impl FnOnce(&mut TopicConfig)) -> Place {
    let place = Place::new();
    let mut config = TopicConfig {
        keep_done: Some(DAY),
        ..TopicConfig::default()
    };
    change(&mut config);
    place.jobs().configure(config).unwrap();
    place
}

fn place() -> Place {
    place_with(|_| {})
}

/// Returns how messages of `jobs` ended, the last first.
fn ended(messaging: &Messaging) -> Vec<EndedMessage> {
    messaging.history(&HistoryQuery::topic("jobs")).unwrap()
}

/// Returns the same page by page, as long as there is another one.
fn paged(messaging: &Messaging, mut query: HistoryQuery) -> Vec<EndedMessage> {
    let mut paged = Vec::new();
    loop {
        let page = messaging.history(&query).unwrap();
        let Some(last) = page.last() else {
            return paged;
        };
        query = query.after(last);
        paged.extend(page);
    }
}

fn ways(messaging: &Messaging) -> Vec<How> {
    ended(messaging).iter().map(|ended| ended.how).collect()
}
