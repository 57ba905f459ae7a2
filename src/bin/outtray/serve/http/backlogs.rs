//! The numbers of topics, as the database has them, for Prometheus.
//!
//! Each look makes a recorder of its own: a topic that is gone has no numbers any more.

use crate::serve::http::process::{gauge, gauge_of};
use crate::serve::http::topic_labels::TopicLabels;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use outtray::metrics::{OTHER_TOPICS, TOPIC_LABEL};
use outtray::{LogReader, Messaging, TopicBacklog};
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
            Some(topic) => messaging
                .topic(topic)
                .backlog()
                .map(|one| (vec![one], Vec::new())),
            None => messaging
                .backlogs()
                .and_then(|all| Ok((all, messaging.log_readers()?))),
        };
        match found {
            Ok((backlogs, readers)) => Some(self.text(&backlogs, &readers)),
            Err(error) => {
                tracing::debug!("http: no numbers of topics: {error}");
                None
            }
        }
    }

    fn text(&mut self, backlogs: &[TopicBacklog], readers: &[LogReader]) -> String {
        let names = backlogs.iter().map(|backlog| backlog.topic.as_str());
        self.labels.learn(names);
        let recorder = PrometheusBuilder::new().build_recorder();
        for number in &SUMS {
            self.set(&recorder, number, |sum, one| sum + one, backlogs);
        }
        for number in &LARGEST {
            self.set(&recorder, number, f64::max, backlogs);
        }
        self.set_readers(&recorder, readers);
        recorder.handle().render()
    }

    /// Shows how far behind readers of logs are; of those whose logs have no label of their own the
    /// one that is furthest behind.
    fn set_readers(&self, recorder: &PrometheusRecorder, readers: &[LogReader]) {
        let mut furthest: BTreeMap<[&str; 2], [f64; 2]> = BTreeMap::new();
        for one in readers {
            let topic = self.labels.of(&one.topic);
            let is_own = topic == one.topic;
            let reader = if is_own {
                one.reader.as_str()
            } else {
                OTHER_TOPICS
            };
            let [lag, behind] = furthest.entry([topic, reader]).or_default();
            *lag = lag.max(float(one.lag));
            *behind = behind.max(one.behind.map_or(0.0, |behind| behind.as_secs_f64()));
        }
        for ([topic, reader], [lag, behind]) in furthest {
            let labels = [(TOPIC_LABEL, topic), ("reader", reader)];
            let set = |name, help, value| gauge_of(recorder, name, help, &labels).set(value);
            set(
                "outtray_log_reader_lag_messages",
                "About how many messages of a log a named reader has not read.",
                lag,
            );
            set(
                "outtray_log_reader_behind_seconds",
                "How long ago the first message was committed that a named reader has not read; 0 if it has read all.",
                behind,
            );
        }
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
