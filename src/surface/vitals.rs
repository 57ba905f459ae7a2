//! How a process is.

use crate::receive::vitals::Vitals;
use crate::surface::messaging::Messaging;

impl Messaging {
    /// Returns how this process is: its pool, its workers, and the threads that serve them. Asks
    /// the database nothing, and does not block.
    pub fn vitals(&self) -> Vitals {
        self.vital_signs().look()
    }
}
