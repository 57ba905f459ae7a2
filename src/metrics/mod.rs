//! Metrics of a process, for whatever exporter it has (feature `metrics`).
//!
//! outtray records through the facade crate [`metrics`](https://docs.rs/metrics). A program
//! installs an exporter of its choice (`metrics-exporter-prometheus`, OpenTelemetry, StatsD, …),
//! and says once, in the [`Builder`](crate::Builder), that outtray is to record:
//!
//! ```
//! use outtray::Messaging;
//! use outtray::metrics::Metrics;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = outtray::testing::Server::start()?;
//! # let url = server.database()?;
//!
//! // First the exporter. This one is asked for its text by a page of your own; it also has a
//! // listener for HTTP.
//! let exporter = metrics_exporter_prometheus::PrometheusBuilder::new()
//!     .set_buckets(&outtray::metrics::DURATION_BUCKETS)?
//!     .install_recorder()?;
//! let messaging = Messaging::builder().url(&url).metrics(Metrics::global()).connect()?;
//! # messaging.migrate()?;
//!
//! messaging.send(outtray::NewMessage::json("orders", &42)?)?;
//! messaging.drain("orders", |_, _: outtray::Message<i32>| Ok(()))?;
//!
//! let text = exporter.render();
//! assert!(text.contains("outtray_sent_messages_total{messaging_destination_name=\"orders\"} 1"));
//! assert!(text.contains("outtray_done_messages_total{messaging_destination_name=\"orders\"} 1"));
//! # Ok(()) }
//! ```
//!
//! What happens is counted when it is true: after its COMMIT. How the process is (its pool, its
//! workers) is written every 5 s by a thread that the [`Messaging`](crate::Messaging) owns, and by
//! [`record_vitals`](crate::Messaging::record_vitals) at any moment. The database is asked nothing
//! for any of this. How many messages are ready or dead in the database is the same for all
//! processes: `outtray serve --http` serves it, and [`backlogs`](crate::Messaging::backlogs)
//! returns it.
//!
//! [`all`] lists the metrics; `docs/METRICS.md` explains each, and has alert rules and a dashboard.
//! Without [`Builder::metrics`](crate::Builder::metrics) nothing is recorded, and nothing costs
//! anything.

mod catalog;
mod handles;
mod labels;
mod recording;
mod sampling;

pub use crate::metrics::catalog::{Metric, MetricKind};
pub use crate::metrics::labels::{MOST_TOPICS, OTHER_TOPICS, TEMPORARY_TOPICS, is_temporary};

pub(crate) use crate::metrics::recording::Recording;
pub(crate) use crate::metrics::sampling::Sampling;

use crate::metrics::handles::Sink;
use metrics::Recorder;
use std::fmt;
use std::sync::Arc;

/// The label of topics: OpenTelemetry's `messaging.destination.name`, as Prometheus writes it.
pub const TOPIC_LABEL: &str = catalog::TOPIC;

/// Bounds of buckets for durations, in seconds: from a millisecond, as quick handlers take, to
/// hours, as messages wait at worst.
pub const DURATION_BUCKETS: [f64; 17] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    600.0, 3600.0,
];

/// Returns all metrics of a process, in the order of `docs/METRICS.md`.
pub fn all() -> &'static [Metric] {
    catalog::ALL
}

/// Where metrics are recorded, and how many topics are told apart:
/// [`Builder::metrics`](crate::Builder::metrics) takes it.
#[derive(Clone)]
#[must_use = "nothing is recorded before Builder::metrics has it"]
pub struct Metrics {
    sink: Sink,
    most_topics: usize,
}

impl Metrics {
    /// Records with the recorder that is installed in the process. Install it before
    /// [`connect`](crate::Builder::connect): what was counted before is lost.
    pub fn global() -> Self {
        Metrics {
            sink: Sink::Global,
            most_topics: MOST_TOPICS,
        }
    }

    /// Records with this recorder, whatever is installed.
    pub fn to(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Metrics {
            sink: Sink::Own(Arc::new(recorder)),
            most_topics: MOST_TOPICS,
        }
    }

    /// Sets how many topics have a label of their own: those that are used first. Default 200.
    /// Further ones are counted together, under [`OTHER_TOPICS`]. Each topic that is handled has
    /// some 70 time series with the [`DURATION_BUCKETS`].
    pub fn most_topics(mut self, topics: usize) -> Self {
        self.most_topics = topics;
        self
    }

    /// Returns what records.
    pub(crate) fn recording(self) -> Arc<Recording> {
        Arc::new(Recording::new(self.sink, self.most_topics))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("most_topics", &self.most_topics)
            .finish_non_exhaustive()
    }
}
