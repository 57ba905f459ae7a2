//! Recording what happens, and how the process is.

use crate::metrics::catalog;
use crate::metrics::handles::{Sink, TopicHandles};
use crate::metrics::labels::{OTHER_TOPICS, TEMPORARY_TOPICS, is_temporary};
use crate::observe::connection_of::ConnectionOf;
use crate::observe::event::Event;
use crate::processes::crews::Crew;
use crate::receive::vitals::Vitals;
use crate::threads::mutex::Mutex;
use crate::words::outcome::DeadReason;
use metrics::{Counter, Gauge};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Where the connections are for which losses are counted.
const ROLES: [&str; 3] = ["worker", "upkeep", "listener"];

/// What records.
pub(crate) struct Recording {
    sink: Sink,
    most_topics: usize,
    /// Topics with a label of their own: the first that were heard of.
    topics: RwLock<HashMap<String, Arc<TopicHandles>>>,
    others: Arc<TopicHandles>,
    temporary: Arc<TopicHandles>,
    process: ProcessHandles,
    /// The sweeps of each topic's crews until the last look.
    swept: Mutex<BTreeMap<String, u64>>,
}

/// What is counted of the process as a whole.
struct ProcessHandles {
    unknown: Counter,
    lost: [Counter; 3],
    reconnects: [Counter; 3],
    used: Gauge,
    idle: Gauge,
    pool_max: Gauge,
    pool_waits: Counter,
    pool_waited: Gauge,
    listening: Gauge,
    upkeep_lag: Gauge,
}

impl Recording {
    pub(crate) fn new(sink: Sink, most_topics: usize) -> Self {
        sink.describe();
        let labelled = |label| Arc::new(TopicHandles::new(sink.clone(), label));
        Recording {
            others: labelled(OTHER_TOPICS),
            temporary: labelled(TEMPORARY_TOPICS),
            process: ProcessHandles::new(&sink),
            topics: RwLock::default(),
            swept: Mutex::default(),
            most_topics,
            sink,
        }
    }

    /// Counts what happened.
    pub(crate) fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Sent { topic, ids, .. } => self.of(topic).sent().increment(count(ids.len())),
            Event::Started { topic, waited, .. } => {
                record(&self.of(topic).handling().wait, *waited)
            }
            Event::Done {
                topic,
                took,
                since_sent,
                ..
            } => {
                let topic = self.of(topic);
                let handling = topic.handling();
                handling.done.increment(1);
                record(&handling.process, *took);
                record(&handling.end_to_end, *since_sent);
            }
            Event::Failed {
                topic,
                took,
                retry_in,
                ..
            } => {
                let topic = self.of(topic);
                let handling = topic.handling();
                handling.failed.increment(1);
                handling.retried.increment(u64::from(retry_in.is_some()));
                record(&handling.process, *took);
            }
            Event::Snoozed { topic, took, .. } => {
                let topic = self.of(topic);
                topic.handling().snoozed.increment(1);
                record(&topic.handling().process, *took);
            }
            Event::Undone { topic, ids, .. } => {
                let undone = count(ids.len());
                self.of(topic).handling().undone.increment(undone);
            }
            Event::CommitUnknown { .. } => self.process.unknown.increment(1),
            Event::ConnectionLost { of, .. } => self.process.lost[role(of)].increment(1),
            Event::Reconnected { of, .. } => self.process.reconnects[role(of)].increment(1),
            other => self.observe_end(other),
        }
    }

    /// Counts how messages ended, or went back, that were not handled.
    fn observe_end(&self, event: &Event<'_>) {
        match event {
            Event::Dead { topic, reason, .. } => {
                let topic = self.of(topic);
                topic.dead(*reason).increment(1);
                if *reason == DeadReason::Expired {
                    topic.rare().expired.increment(1);
                }
            }
            Event::Expired { topic, .. } => self.of(topic).rare().expired.increment(1),
            Event::Cancelled { topic, .. } => self.of(topic).rare().cancelled.increment(1),
            Event::Redriven {
                topic, messages, ..
            } => self.of(topic).rare().redriven.increment(*messages),
            Event::PutOff { topic, .. } => self.of(topic).rare().put_off.increment(1),
            Event::Released { topic, .. } => self.of(topic).rare().released.increment(1),
            Event::Purged {
                topic, messages, ..
            } => self.of(topic).rare().purged.increment(*messages),
            _ => {}
        }
    }

    /// Records how the process is.
    pub(crate) fn sample(&self, vitals: &Vitals) {
        let process = &self.process;
        process
            .used
            .set(f64::from(vitals.pool_open.saturating_sub(vitals.pool_idle)));
        process.idle.set(f64::from(vitals.pool_idle));
        process.pool_max.set(f64::from(vitals.pool_size));
        process.pool_waits.absolute(vitals.pool_waits);
        process.pool_waited.set(vitals.pool_waited.as_secs_f64());
        process
            .listening
            .set(f64::from(u8::from(vitals.is_listening)));
        let lag = vitals.upkeep_lag.unwrap_or_default();
        process.upkeep_lag.set(lag.as_secs_f64());
        self.sample_crews(&vitals.crews);
    }

    fn sample_crews(&self, crews: &[Crew]) {
        let mut of_topic: BTreeMap<String, [u64; 4]> = BTreeMap::new();
        let mut swept = self.swept.lock();
        // Topics whose receivers are gone have no workers.
        for label in swept.keys() {
            of_topic.insert(label.clone(), [0; 4]);
        }
        for crew in crews {
            let label = self.of(&crew.topic).label().to_owned();
            let sums = of_topic.entry(label).or_default();
            let numbers = [crew.workers, crew.busy, crew.crew_size].map(count);
            for (sum, number) in sums
                .iter_mut()
                .zip(numbers.into_iter().chain([crew.sweeps]))
            {
                *sum += number;
            }
        }
        for (label, [workers, busy, crew_size, sweeps]) in of_topic {
            let labels = [(catalog::TOPIC, label.as_str())];
            let set = |metric, number| self.sink.gauge(metric, &labels).set(float(number));
            set(&catalog::WORKERS, workers);
            set(&catalog::BUSY, busy);
            set(&catalog::CREW, crew_size);
            // Receivers that ended have taken theirs with them.
            let before = swept.insert(label.clone(), sweeps).unwrap_or(0);
            let new = sweeps.checked_sub(before).unwrap_or(sweeps);
            self.sink.counter(&catalog::SWEEPS, &labels).increment(new);
        }
    }

    /// Returns what counts for a topic.
    fn of(&self, topic: &str) -> Arc<TopicHandles> {
        // What is locked is changed in whole steps.
        let known = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handles) = known.get(topic) {
            return Arc::clone(handles);
        }
        let is_full = known.len() >= self.most_topics;
        drop(known);
        if is_temporary(topic) {
            return Arc::clone(&self.temporary);
        }
        if is_full {
            return Arc::clone(&self.others);
        }
        let mut known = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.most_topics && !known.contains_key(topic) {
            return Arc::clone(&self.others);
        }
        let handles = known.entry(topic.to_owned());
        let new = || Arc::new(TopicHandles::new(self.sink.clone(), topic));
        Arc::clone(handles.or_insert_with(new))
    }
}

impl ProcessHandles {
    fn new(sink: &Sink) -> Self {
        let state = |state| sink.gauge(&catalog::POOL, &[(catalog::STATE, state)]);
        let roles = |metric| ROLES.map(|role| sink.counter(metric, &[(catalog::ROLE, role)]));
        ProcessHandles {
            unknown: sink.counter(&catalog::UNKNOWN, &[]),
            lost: roles(&catalog::LOST),
            reconnects: roles(&catalog::RECONNECTS),
            used: state("used"),
            idle: state("idle"),
            pool_max: sink.gauge(&catalog::POOL_MAX, &[]),
            pool_waits: sink.counter(&catalog::POOL_WAITS, &[]),
            pool_waited: sink.gauge(&catalog::POOL_WAITED, &[]),
            listening: sink.gauge(&catalog::LISTENING, &[]),
            upkeep_lag: sink.gauge(&catalog::UPKEEP_LAG, &[]),
        }
    }
}

fn role(of: &ConnectionOf<'_>) -> usize {
    match of {
        ConnectionOf::Worker { .. } => 0,
        ConnectionOf::Upkeep => 1,
        ConnectionOf::Listener => 2,
    }
}

fn record(histogram: &metrics::Histogram, duration: Option<Duration>) {
    if let Some(duration) = duration {
        histogram.record(duration.as_secs_f64());
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Numbers of workers are far from where this is not exact.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn float(number: u64) -> f64 {
    number as f64
}
