//! What all clones of `Messaging` share, and the threads that serve them.

use crate::connect::pool::Pool;
#[cfg(feature = "metrics")]
use crate::metrics::{Recording, Sampling};
use crate::processes::identity::ProcessIdentity;
use crate::receive::lease::by_hand::ByHand;
use crate::receive::shared_state::Base;
use crate::receive::vitals::VitalSigns;
use crate::request::requests::Requests;
use crate::threads::mutex::Mutex;
use crate::upkeep::duties::Duties;
use crate::upkeep::thread::{Errands, Upkeep};
use crate::wake::listener::RunningListener;
use crate::words::Result;
use std::sync::Arc;
#[cfg(feature = "metrics")]
use std::sync::OnceLock;
use std::time::Duration;
use uuid::Uuid;

/// What all clones share.
pub(crate) struct Core {
    #[cfg(feature = "metrics")]
    sampling: OnceLock<Sampling>,
    // Before the others, since its thread ends what needs them.
    pub(crate) requests: Requests,
    pub(crate) base: Base,
    pub(crate) pool: Arc<Pool>,
    me: Uuid,
    poll_interval: Duration,
    is_listening: bool,
    services: Mutex<Option<Services>>,
    /// What is remembered of topics whose messages are taken by hand.
    pub(crate) by_hand: ByHand,
}

/// The threads that serve all receivers of the process, from the first one's start.
struct Services {
    // In the order in which they end: what is heard goes to the upkeep.
    #[expect(dead_code, reason = "dropping it stops the thread")]
    listener: Option<RunningListener>,
    upkeep: Upkeep,
}

impl Core {
    pub(crate) fn new(
        base: Base,
        pool: Pool,
        me: Uuid,
        poll_interval: Duration,
        is_listening: bool,
    ) -> Self {
        Core {
            requests: Requests::default(),
            base,
            pool: Arc::new(pool),
            me,
            poll_interval,
            is_listening,
            services: Mutex::new(None),
            by_hand: ByHand::default(),
            #[cfg(feature = "metrics")]
            sampling: OnceLock::new(),
        }
    }

    /// Returns the way to the upkeep thread, which starts now if it did not.
    pub(crate) fn errands(&self) -> Result<Errands> {
        let mut services = self.services.lock();
        if let Some(services) = services.as_ref() {
            return Ok(services.upkeep.errands());
        }
        let started = self.start_services()?;
        let errands = started.upkeep.errands();
        *services = Some(started);
        Ok(errands)
    }

    /// Has it be recorded how the process is, if that is wanted.
    #[cfg(feature = "metrics")]
    pub(crate) fn measure(&self, recording: Option<Arc<Recording>>) -> Result<()> {
        if let Some(recording) = recording {
            let sampling = Sampling::start(recording, self.vital_signs())?;
            let _ = self.sampling.set(sampling);
        }
        Ok(())
    }

    /// Returns what records how the process is, if anything does.
    #[cfg(feature = "metrics")]
    pub(crate) fn sampling(&self) -> Option<&Sampling> {
        self.sampling.get()
    }

    /// Returns where to see how the process is.
    pub(crate) fn vital_signs(&self) -> VitalSigns {
        VitalSigns {
            pool: Arc::clone(&self.pool),
            dedicated: Arc::clone(&self.base.dedicated),
            crews: Arc::clone(&self.base.crews),
        }
    }

    fn start_services(&self) -> Result<Services> {
        let waker = Arc::clone(&self.base.waker);
        let program = &self.base.dedicated.settings().program;
        let duties = Duties::new(
            Arc::clone(&self.base.dedicated),
            Arc::clone(&self.base.process),
            Arc::clone(&waker),
            self.poll_interval,
            ProcessIdentity::new(self.me.simple().to_string(), program),
            Arc::clone(&self.base.crews),
        );
        let upkeep = Upkeep::start(duties, Arc::clone(&waker))?;
        let errands = upkeep.errands();
        let dedicated = Arc::clone(&self.base.dedicated);
        let tell = move |heard| errands.heard(&waker, heard);
        let listener = match self.is_listening {
            true => Some(RunningListener::start(
                dedicated,
                self.me,
                self.poll_interval,
                Arc::clone(&self.base.process.observers),
                tell,
            )?),
            false => None,
        };
        Ok(Services { listener, upkeep })
    }

    /// Returns the way to the upkeep thread, if it runs.
    pub(crate) fn running_errands(&self) -> Option<Errands> {
        let services = self.services.lock();
        services.as_ref().map(|services| services.upkeep.errands())
    }
}
