//! Metrics: turned on in the builder, recorded as long as the process's `Messaging` lives.

use crate::metrics::Metrics;
use crate::surface::builder::Builder;
use crate::surface::messaging::Messaging;
use std::sync::Arc;

impl Builder {
    /// Records metrics, as [`metrics`](crate::metrics) says, with the feature `metrics`: once for
    /// each process, and with [`Metrics::global`] after an exporter was installed. Where several
    /// `Messaging` record to the same place, what they count is summed up; of their pools and
    /// threads, the one that was written last is seen.
    ///
    /// Default: nothing is recorded.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        let recording = metrics.recording();
        let observer = Arc::clone(&recording);
        self = self.on_event(move |event| observer.observe(event));
        self.hooks.recording = Some(recording);
        self
    }
}

impl Messaging {
    /// Records how the process is now, for who is about to ask the exporter. It is done every 5 s
    /// anyway. Without [`Builder::metrics`] this does nothing.
    pub fn record_vitals(&self) {
        if let Some(sampling) = self.sampling() {
            sampling.now();
        }
    }
}
