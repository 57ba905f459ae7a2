//! Handles: each is asked for once, and used again and again.

use crate::metrics::catalog::{self, Metric, MetricKind};
use crate::words::outcome::DeadReason;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder};
use std::sync::{Arc, OnceLock};

static METADATA: Metadata<'static> = Metadata::new("outtray", Level::INFO, None);

/// Where metrics go.
#[derive(Clone)]
pub(crate) enum Sink {
    /// To the recorder that is installed in the process.
    Global,
    Own(Arc<dyn Recorder + Send + Sync>),
}

/// A label, and its value.
pub(crate) type LabelValue<'a> = (&'static str, &'a str);

impl Sink {
    fn with<T>(&self, work: impl FnOnce(&dyn Recorder) -> T) -> T {
        match self {
            Sink::Global => metrics::with_recorder(work),
            Sink::Own(recorder) => work(&**recorder),
        }
    }

    /// Says what each metric is.
    pub(crate) fn describe(&self) {
        self.with(|recorder| {
            for metric in catalog::ALL {
                let unit = Some(metric.unit);
                let (name, help) = (KeyName::from_const_str(metric.name), metric.help.into());
                match metric.kind {
                    MetricKind::Counter => recorder.describe_counter(name, unit, help),
                    MetricKind::Gauge => recorder.describe_gauge(name, unit, help),
                    MetricKind::Histogram => recorder.describe_histogram(name, unit, help),
                }
            }
        });
    }

    pub(crate) fn counter(&self, metric: &Metric, labels: &[LabelValue<'_>]) -> Counter {
        self.with(|recorder| recorder.register_counter(&key(metric, labels), &METADATA))
    }

    pub(crate) fn gauge(&self, metric: &Metric, labels: &[LabelValue<'_>]) -> Gauge {
        self.with(|recorder| recorder.register_gauge(&key(metric, labels), &METADATA))
    }

    fn histogram(&self, metric: &Metric, labels: &[LabelValue<'_>]) -> Histogram {
        self.with(|recorder| recorder.register_histogram(&key(metric, labels), &METADATA))
    }
}

fn key(metric: &Metric, labels: &[LabelValue<'_>]) -> Key {
    let label = |(name, value): &LabelValue<'_>| Label::new(*name, (*value).to_owned());
    Key::from_parts(metric.name, labels.iter().map(label).collect::<Vec<_>>())
}

/// What is counted of one topic. Each part is there from its first use on, and then begins at 0.
pub(crate) struct TopicHandles {
    sink: Sink,
    label: String,
    sending: OnceLock<Counter>,
    handling: OnceLock<HandlingMetrics>,
    /// What seldom happens.
    rare: OnceLock<RareEnds>,
}

/// What is counted of messages that are handled.
pub(crate) struct HandlingMetrics {
    pub(crate) done: Counter,
    pub(crate) failed: Counter,
    pub(crate) retried: Counter,
    pub(crate) snoozed: Counter,
    pub(crate) undone: Counter,
    pub(crate) wait: Histogram,
    pub(crate) process: Histogram,
    pub(crate) end_to_end: Histogram,
}

/// What is counted of messages that end, or go back, in another way.
pub(crate) struct RareEnds {
    pub(crate) expired: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) redriven: Counter,
    pub(crate) purged: Counter,
    pub(crate) put_off: Counter,
    pub(crate) released: Counter,
}

impl TopicHandles {
    pub(crate) fn new(sink: Sink, label: &str) -> Self {
        TopicHandles {
            sink,
            label: label.to_owned(),
            sending: OnceLock::new(),
            handling: OnceLock::new(),
            rare: OnceLock::new(),
        }
    }

    fn counter(&self, metric: &Metric) -> Counter {
        self.sink.counter(metric, &[(catalog::TOPIC, &self.label)])
    }

    fn histogram(&self, metric: &Metric) -> Histogram {
        let labels = [(catalog::TOPIC, self.label.as_str())];
        self.sink.histogram(metric, &labels)
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn sent(&self) -> &Counter {
        self.sending.get_or_init(|| self.counter(&catalog::SENT))
    }

    pub(crate) fn handling(&self) -> &HandlingMetrics {
        self.handling.get_or_init(|| HandlingMetrics {
            done: self.counter(&catalog::DONE),
            failed: self.counter(&catalog::FAILED),
            retried: self.counter(&catalog::RETRIED),
            snoozed: self.counter(&catalog::SNOOZED),
            undone: self.counter(&catalog::UNDONE),
            wait: self.histogram(&catalog::WAIT),
            process: self.histogram(&catalog::PROCESS),
            end_to_end: self.histogram(&catalog::END_TO_END),
        })
    }

    pub(crate) fn rare(&self) -> &RareEnds {
        self.rare.get_or_init(|| RareEnds {
            expired: self.counter(&catalog::EXPIRED),
            cancelled: self.counter(&catalog::CANCELLED),
            redriven: self.counter(&catalog::REDRIVEN),
            purged: self.counter(&catalog::PURGED),
            put_off: self.counter(&catalog::PUT_OFF),
            released: self.counter(&catalog::RELEASED),
        })
    }

    /// Returns the counter of dead letters of this reason. There are few, so it is not kept.
    pub(crate) fn dead(&self, reason: DeadReason) -> Counter {
        let reason = reason.as_str();
        let labels = [
            (catalog::TOPIC, self.label.as_str()),
            (catalog::REASON, reason),
        ];
        self.sink.counter(&catalog::DEAD, &labels)
    }
}
