//! Removes dead letters whose topic's retention is over.

use crate::connect::connection::Connection;
use crate::db::Run;
use crate::dead_letters::slices::{SLICE, end_slice, prune_dead};
use crate::observe::event::Event;
use crate::observe::fields::told;
use crate::wake::round::Work;
use crate::wake::waker::Waker;
use crate::words::{Result, TopicConfig};
use std::time::{Duration, Instant};

/// Removes some of what was kept for long enough, of each topic that has a time for it, for `turn`
/// altogether. Returns whether there may be more.
pub(crate) fn remove(work: &mut Work<'_>, turn: Duration) -> Result<bool> {
    let started = Instant::now();
    let retained = |config: &TopicConfig| config.dead_letter_retention;
    let mut topics = work.settings.pick(retained);
    // In any order: one may have so many that the others would have no turn.
    fastrand::shuffle(&mut topics);
    for (topic, retention) in topics {
        let mut removed = 0;
        let mut may_be_more = true;
        while may_be_more && started.elapsed() < turn {
            let slice = remove_slice(work.connection, work.waker, &topic, retention)?;
            removed += slice;
            may_be_more = slice >= SLICE as u64;
        }
        if removed > 0 {
            tracing::info!(
                topic = told(&topic),
                "topic {topic}: removed {removed} dead letters that were kept for {retention:?}"
            );
        }
        if started.elapsed() >= turn {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes a slice in one transaction, with all that the ends of its messages call for; returns how
/// many they were.
fn remove_slice(
    connection: &mut Connection,
    waker: &Waker,
    topic: &str,
    retention: Duration,
) -> Result<u64> {
    let doing = "removing dead letters that were kept for long enough";
    let take = |run: &mut dyn Run, topic: &str| prune_dead(run, topic, retention);
    let slice = end_slice(connection, waker, topic, doing, take)?;
    if slice.messages > 0 {
        waker.observers.tell(|| Event::Purged {
            topic,
            messages: slice.messages,
            were_dead: true,
        });
        // What was behind them, by their keys.
        waker.keys_ended();
        waker.look_at(slice.tracked());
    }
    Ok(slice.messages)
}
