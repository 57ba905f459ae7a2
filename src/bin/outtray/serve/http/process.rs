//! What this process knows, for Prometheus.

use crate::serve::http::check::Health;
use metrics::{Gauge, Key, KeyName, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use outtray::Messaging;
use outtray::metrics::{DURATION_BUCKETS, Metrics, TOPIC_LABEL};
use std::sync::Arc;
use std::time::Duration;

/// The recorder of the process.
pub(crate) struct ProcessMetrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl ProcessMetrics {
    pub(crate) fn new() -> Self {
        let buckets = PrometheusBuilder::new().set_buckets(&DURATION_BUCKETS);
        let recorder = buckets.expect("there are buckets").build_recorder();
        let handle = recorder.handle();
        let recorder = Arc::new(recorder);
        ProcessMetrics { recorder, handle }
    }

    /// Returns what has a process record here, and tell so many topics apart.
    pub(crate) fn metrics(&self, most_topics: usize) -> Metrics {
        Metrics::to(Arc::clone(&self.recorder)).most_topics(most_topics)
    }

    /// Returns what is known as text, and that the database's health is this; `age` is that of the
    /// numbers that follow, if any do.
    pub(crate) fn text(
        &self,
        messaging: &Messaging,
        health: Health,
        age: Option<Duration>,
    ) -> String {
        let flag = |is_so: bool| f64::from(u8::from(is_so));
        let set = |name, help, value| gauge(&self.recorder, name, help, None).set(value);
        set(
            "outtray_database_up",
            "Whether the database answers: 1 or 0.",
            flag(health != Health::Away),
        );
        set(
            "outtray_schema_up",
            "Whether the database's schema is the one of this release: 1 or 0.",
            flag(health == Health::Ready),
        );
        set(
            "outtray_topics_age_seconds",
            "How old the numbers of topics are; NaN if there are none.",
            age.map_or(f64::NAN, |age| age.as_secs_f64()),
        );
        messaging.record_vitals();
        self.handle.render()
    }
}

/// Returns a gauge, of a topic or of the process.
pub(crate) fn gauge(
    recorder: &PrometheusRecorder,
    name: &'static str,
    help: &'static str,
    topic: Option<&str>,
) -> Gauge {
    let labels: Vec<_> = topic
        .into_iter()
        .map(|topic| (TOPIC_LABEL, topic))
        .collect();
    gauge_of(recorder, name, help, &labels)
}

/// Returns a gauge with labels.
pub(crate) fn gauge_of(
    recorder: &PrometheusRecorder,
    name: &'static str,
    help: &'static str,
    labels: &[(&'static str, &str)],
) -> Gauge {
    static METADATA: Metadata<'static> = Metadata::new("outtray", Level::INFO, None);
    recorder.describe_gauge(KeyName::from_const_str(name), None::<Unit>, help.into());
    let label = |(name, value): &(&'static str, &str)| Label::new(*name, (*value).to_owned());
    let labels: Vec<Label> = labels.iter().map(label).collect();
    recorder.register_gauge(&Key::from_parts(name, labels), &METADATA)
}
