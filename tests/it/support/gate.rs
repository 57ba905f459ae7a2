//! A gate in a handler, which the test opens.

use super::PATIENCE;
use crossbeam_channel::{Receiver, Sender, unbounded};
use outtray::{Message, ReceiverBuilder};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A place where handlers stop until the test lets them go on.
#[derive(Clone)]
pub(crate) struct Gate {
    arrive: Sender<()>,
    arrivals: Receiver<()>,
    permit: Sender<()>,
    permits: Receiver<()>,
}

impl Gate {
    pub(crate) fn new() -> Gate {
        let (arrive, arrivals) = unbounded();
        let (permit, permits) = unbounded();
        Gate {
            arrive,
            arrivals,
            permit,
            permits,
        }
    }

    /// In the handler: arrives, and waits to be let through.
    #[track_caller]
    pub(crate) fn pass(&self) {
        self.arrive.send(()).unwrap();
        self.permits.recv_timeout(PATIENCE).expect("the gate opens");
    }

    /// Starts a receiver whose handlers pass the gate, and do nothing else.
    pub(crate) fn holding(&self, receiver: ReceiverBuilder<'_>) -> outtray::Receiver {
        let gate = self.clone();
        let held = receiver.start(move |_, _: Message| {
            gate.pass();
            Ok(())
        });
        held.unwrap()
    }

    /// Starts a receiver whose handlers pass the gate, and then tell the payload of each message.
    pub(crate) fn telling<T>(
        &self,
        receiver: ReceiverBuilder<'_>,
    ) -> (outtray::Receiver, Receiver<T>)
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let gate = self.clone();
        let (tell, told) = unbounded();
        let receiver = receiver.start(move |_, message: Message<T>| {
            gate.pass();
            Ok(tell.send(message.payload)?)
        });
        (receiver.unwrap(), told)
    }

    /// In the test: waits until so many handlers stand before the gate.
    #[track_caller]
    pub(crate) fn await_arrivals(&self, count: usize) {
        for arrived in 0..count {
            assert!(
                self.arrivals.recv_timeout(PATIENCE).is_ok(),
                "{arrived} of {count} handlers came to the gate"
            );
        }
    }

    /// In the test: returns whether nobody comes to the gate for this long.
    pub(crate) fn is_lonely_for(&self, duration: Duration) -> bool {
        self.arrivals.recv_timeout(duration).is_err()
    }

    /// In the test: lets so many handlers through, those that come later included.
    pub(crate) fn open_for(&self, count: usize) {
        for _ in 0..count {
            self.permit.send(()).unwrap();
        }
    }
}
