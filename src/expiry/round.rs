//! Takes out expired messages that no worker claims: those of paused and busy topics, scheduled
//! ones, and those behind others of their key.
//!
//! Workers do the same with what they claim. Messages in work are left alone: locked rows are
//! skipped, leases are not touched, and their holders may still finish.

use crate::connect::connection::Connection;
use crate::db::commands;
use crate::expiry::{self, EXPIRE_LIMIT};
use crate::message::claimed::Held;
use crate::message::end::{End, How};
use crate::message::report;
use crate::observe::event::Event;
use crate::observe::fields::told;
use crate::observe::observers::Observers;
use crate::on_end;
use crate::wake::round::{Polled, Round, Work};
use crate::words::topic_config::Expired;
use crate::words::{DeadReason, MessageId, OnEnd, Result, TopicConfig};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The least time between two looks that did not find a full batch: messages in long work whose
/// time is over would be looked at all the while.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// When to look next; `None` while no message has an end.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    next: Option<Instant>,
    looked_at: Option<Instant>,
}

impl Expiry {
    /// Learns in how long the next message expires.
    fn learn(&mut self, next: Option<Duration>) {
        let at = next.and_then(|delay| Instant::now().checked_add(delay));
        let not_before = self.looked_at.map(|looked| looked + BETWEEN_LOOKS);
        self.next = at.map(|at| not_before.map_or(at, |least| least.max(at)));
    }
}

impl Round for Expiry {
    fn at(&self) -> Option<Instant> {
        self.next
    }

    /// Takes out a batch, tells who waited for it, and finds out when to look next.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        self.looked_at = Some(Instant::now());
        let drops = |config: &TopicConfig| (config.expired == Some(Expired::Drop)).then_some(());
        let dropping = work.settings.pick(drops).into_iter();
        let (dropping, _): (Vec<String>, Vec<()>) = dropping.unzip();
        let gone = take_out(work.connection, &dropping)?;
        let is_full = gone.len() >= usize::try_from(EXPIRE_LIMIT).unwrap_or(usize::MAX);
        let mut by_topic = BTreeMap::<&str, [Vec<MessageId>; 2]>::new();
        for (topic, held) in &gone {
            let of_topic = by_topic.entry(topic).or_default();
            of_topic[usize::from(is_dropped(&dropping, topic, held))].push(held.id);
        }
        work.waker.announce_ends(gone.iter().map(|(_, held)| held));
        for (topic, [dead, dropped]) in by_topic {
            let messages = dead.len() + dropped.len();
            tracing::info!(
                topic = told(&topic),
                "topic {topic}: the time of {messages} messages was over"
            );
            dropped.iter().for_each(|id| report::dropped(topic, *id));
            report::dead_together(topic, &dead, DeadReason::Expired, expiry::ERROR);
            // Who was behind them, by key or in strict order, may be ready now.
            work.waker.ready(topic, 1);
        }
        tell(&work.waker.observers, &dropping, &gone);
        if is_full {
            // Whatever a poll says meanwhile.
            self.looked_at = None;
            self.next = Some(Instant::now());
        } else {
            let next = expiry::next_expiry(work.connection)?;
            self.learn(next);
        }
        Ok(())
    }

    fn polled(&mut self, polled: &Polled, _: &mut Work<'_>) -> Result<()> {
        self.learn(polled.next_expiry);
        Ok(())
    }
}

/// Returns whether a message whose time was over is gone, and no dead letter.
fn is_dropped(dropping: &[String], topic: &str, held: &Held) -> bool {
    held.on_end.has(OnEnd::FLEETING) || dropping.iter().any(|dropping| dropping == topic)
}

/// Tells observers which messages are gone.
fn tell(observers: &Observers, dropping: &[String], gone: &[(String, Held)]) {
    for (topic, held) in gone {
        let id = held.id;
        observers.tell(|| match is_dropped(dropping, topic, held) {
            true => Event::Expired { topic, id },
            false => Event::Dead {
                topic,
                id,
                attempts: None,
                reason: DeadReason::Expired,
                error: expiry::ERROR,
            },
        });
    }
}

/// Takes out a batch in one transaction, with all that the ends of its messages call for.
fn take_out(connection: &mut Connection, dropping: &[String]) -> Result<Vec<(String, Held)>> {
    let doing = "taking out expired messages";
    let mut open = connection.read_committed(doing)?;
    let gone = expiry::expire(&mut open, dropping)?;
    let end = |(topic, held): &(String, Held)| {
        // A dead letter can be redriven, whatever it died of.
        let how = match is_dropped(dropping, topic, held) {
            true => How::Expired,
            false => How::Dead,
        };
        Some((topic.clone(), End::of(held, how)?))
    };
    let ends: Vec<(String, End)> = gone.iter().filter_map(end).collect();
    // Inline: what this calls is not prepared on the upkeep's connection.
    let mut flight = open.flight().seldom();
    on_end::push_ends(&mut flight, &ends);
    flight.command(&commands::PROVE);
    open.commit_in(flight, doing)?;
    Ok(gone)
}
