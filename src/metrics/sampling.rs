//! Recording how a process is, again and again.

use crate::metrics::recording::Recording;
use crate::receive::vitals::VitalSigns;
use crate::threads::{Service, Stop, pause};
use crate::words::Result;
use std::sync::Arc;
use std::time::Duration;

/// How often it is done. Exporters are asked more rarely, most of them every 15 s.
const EVERY: Duration = Duration::from_secs(5);

/// Records how a process is until it is dropped.
pub(crate) struct Sampling {
    recording: Arc<Recording>,
    signs: VitalSigns,
    #[expect(dead_code, reason = "dropping it stops the thread")]
    service: Service,
}

impl Sampling {
    /// Starts the thread.
    pub(crate) fn start(recording: Arc<Recording>, signs: VitalSigns) -> Result<Self> {
        recording.sample(&signs.look());
        let (own, seen) = (Arc::clone(&recording), signs.clone());
        let service = Service::start("outtray-metrics", move |stop: Stop| {
            while pause::wait(&stop, EVERY) {
                own.sample(&seen.look());
            }
        })?;
        Ok(Sampling {
            recording,
            signs,
            service,
        })
    }

    /// Records it now.
    pub(crate) fn now(&self) {
        self.recording.sample(&self.signs.look());
    }
}
