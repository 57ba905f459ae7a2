//! How a process is: its pool, its workers, the threads that serve them.

use crate::connect::dedicated::Dedicated;
use crate::connect::pool::Pool;
use crate::processes::crews::{Crew, Crews};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How this process is at the moment: what [`Messaging::vitals`](crate::Messaging::vitals) returns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Vitals {
    /// Open connections of the pool.
    pub pool_open: u32,
    /// Those of them that nobody uses.
    pub pool_idle: u32,
    /// How many connections the pool may have.
    pub pool_size: u32,
    /// How many sessions waited longer than 1 ms for a connection of the pool, since the start.
    pub pool_waits: u64,
    /// How long they waited together.
    #[serde(rename = "pool_waited_ms", with = "crate::words::millis")]
    pub pool_waited: Duration,
    /// Whether notifications of other processes are heard. False where no receiver has started yet,
    /// where they are turned off, and while the connection for them is broken: then messages are
    /// found by polling.
    pub is_listening: bool,
    /// How long the upkeep thread has been late with what it has to do, or `None` where it does not
    /// run: it starts with the first receiver.
    #[serde(rename = "upkeep_lag_ms", with = "crate::words::millis::optional")]
    pub upkeep_lag: Option<Duration>,
    /// The workers of each receiver that runs.
    pub crews: Vec<Crew>,
}

/// Where all of it can be seen.
#[derive(Clone)]
pub(crate) struct VitalSigns {
    pub(crate) pool: Arc<Pool>,
    pub(crate) dedicated: Arc<Dedicated>,
    pub(crate) crews: Arc<Crews>,
}

impl VitalSigns {
    /// Looks at it. Asks the database nothing.
    pub(crate) fn look(&self) -> Vitals {
        let signs = &self.dedicated.signs;
        let (pool_open, pool_idle, pool_size) = self.pool.numbers();
        let (pool_waits, pool_waited) = signs.waits();
        Vitals {
            pool_open,
            pool_idle,
            pool_size,
            pool_waits,
            pool_waited,
            is_listening: signs.is_listening(),
            upkeep_lag: signs.upkeep_lag(),
            crews: self.crews.look(),
        }
    }
}
