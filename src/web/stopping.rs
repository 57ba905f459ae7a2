//! How a server is told to stop.

use tokio::sync::watch;

/// How a server is stopped, the most patient way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stopping {
    /// It will be, when others have ended. Until then it goes on.
    Announced,
    /// It finishes what it has, and lets nobody else in.
    Soon,
    /// It does not wait for the database.
    Now,
}

/// Stops a server. A server whose switch is dropped stops [soon](Stopping::Soon).
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<Option<Stopping>>);

/// Where a server, and its pages, see that it is to stop.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<Option<Stopping>>);

impl StopSwitch {
    /// Makes a switch, and the signal for the server that it stops.
    pub fn pair() -> (StopSwitch, StopSignal) {
        let (switch, signal) = watch::channel(None);
        (StopSwitch(switch), StopSignal(signal))
    }

    /// Tells the server to stop, and does not wait until it has.
    pub fn stop(&self, how: Stopping) {
        self.0.send_replace(Some(how));
    }
}

impl StopSignal {
    /// Returns how the server is to stop, or `None` while it is not.
    pub fn told(&self) -> Option<Stopping> {
        *self.0.borrow()
    }

    /// Waits until the server is to stop in this way, or a less patient one.
    pub(crate) async fn wait(&mut self, how: Stopping) {
        // Where the switch is gone nobody will say more.
        let _ = self.0.wait_for(|told| *told >= Some(how)).await;
    }
}
