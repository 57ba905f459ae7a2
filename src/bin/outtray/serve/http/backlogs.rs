//! The numbers of topics, as the database has them, for Prometheus.
//!
//! Each look makes a recorder of its own: a topic that is gone has no numbers any more.

use crate::serve::http::process::gauge;
use crate::serve::http::topic_labels::TopicLabels;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use outtray::{Messaging, TopicBacklog};
use std::collections::BTreeMap;

/// One that is shown, its help, and how it is read.
type Number = (&'static str, &'static str, fn(&TopicBacklog) -> f64);

/// What is summed up of several topics under one label.
const SUMS: [Number; 9] = [
    ("outtray_topics", "Topics under this label.", |_| 1.0),
    (
        "outtray_topic_ready_messages",
        "Messages that can be claimed now, or are in work in a transaction.",
        |topic| float(topic.ready),
    ),
    (
        "outtray_topic_in_work_messages",
        "Messages in work: under a lease, or in a transaction as far as the first 1000 of the topic tell.",
        |topic| float(topic.in_work),
    ),
    (
        "outtray_topic_scheduled_messages",
        "Messages that wait for a delay, a retry, or the end of others.",
        |topic| float(topic.scheduled),
    ),
    (
        "outtray_topic_behind_messages",
        "Messages that wait behind another message of their key.",
        |topic| float(topic.behind),
    ),
    ("outtray_topic_dead_messages", "Dead letters.", |topic| {
        float(topic.dead)
    }),
    (
        "outtray_topic_receivers",
        "Running receivers, over all processes.",
        |topic| float(topic.receivers),
    ),
    (
        "outtray_topic_paused",
        "Whether the topic is paused: 1 or 0.",
        |topic| f64::from(u8::from(topic.is_paused)),
    ),
    (
        "outtray_topic_suspect",
        "Whether a process died that may have had messages of the topic in hand: 1 or 0.",
        |topic| f64::from(u8::from(topic.is_suspect)),
    ),
];

/// What is the largest of several topics under one label.
const LARGEST: [Number; 2] = [
    (
        "outtray_topic_oldest_ready_age_seconds",
        "How long ago the oldest ready message was sent; 0 if none is ready.",
        |topic| topic.oldest_ready_age.map_or(0.0, |age| age.as_secs_f64()),
    ),
    (
        "outtray_topic_estimated",
        "Whether a number of the topic is an estimate, as it is over 10000: 1 or 0.",
        |topic| f64::from(u8::from(topic.is_estimated)),
    ),
];

/// Asks for the numbers.
pub(crate) struct Backlogs {
    topic: Option<String>,
    labels: TopicLabels,
}

impl Backlogs {
    /// Of one topic, or of all, of which so many are told apart.
    pub(crate) fn new(topic: Option<String>, most_topics: usize) -> Self {
        let most = if topic.is_some() { 1 } else { most_topics };
        Backlogs {
            topic,
            labels: TopicLabels::new(most),
        }
    }

    /// Returns them as text; `None` where they cannot be had.
    pub(crate) fn ask(&mut self, messaging: &Messaging) -> Option<String> {
        let found = match &self.topic {
            Some(topic) => messaging.topic(topic).backlog().map(|one| vec![one]),
            None => messaging.backlogs(),
        };
        match found {
            Ok(backlogs) => Some(self.text(&backlogs)),
            Err(error) => {
                tracing::debug!("http: no numbers of topics: {error}");
                None
            }
        }
    }

    fn text(&mut self, backlogs: &[TopicBacklog]) -> String {
        let names = backlogs.iter().map(|backlog| backlog.topic.as_str());
        self.labels.learn(names);
        let recorder = PrometheusBuilder::new().build_recorder();
        for number in &SUMS {
            self.set(&recorder, number, |sum, one| sum + one, backlogs);
        }
        for number in &LARGEST {
            self.set(&recorder, number, f64::max, backlogs);
        }
        recorder.handle().render()
    }

    fn set(
        &self,
        recorder: &PrometheusRecorder,
        (name, help, read): &Number,
        join: fn(f64, f64) -> f64,
        backlogs: &[TopicBacklog],
    ) {
        let mut joined: BTreeMap<&str, f64> = BTreeMap::new();
        for backlog in backlogs {
            let entry = joined.entry(self.labels.of(&backlog.topic)).or_default();
            *entry = join(*entry, read(backlog));
        }
        for (topic, value) in joined {
            gauge(recorder, name, help, Some(topic)).set(value);
        }
    }
}

/// Numbers of messages are far from where this is not exact.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
