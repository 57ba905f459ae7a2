//! What all connections of a proxy share: where they lead, and what is to happen to them.

use crate::testing::proxy::step::{Step, WireFault};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What all connections share.
#[derive(Default)]
pub(crate) struct Carriage {
    state: Mutex<CarriageState>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct CarriageState {
    /// Where connections lead that are made from now on.
    pub(crate) server: Option<SocketAddr>,
    pub(crate) fault: Option<WireFault>,
    pub(crate) is_silent: bool,
    pub(crate) is_over: bool,
    /// Connections before this number are never carried again.
    pub(crate) age: u64,
    pub(crate) accepted: usize,
    pub(crate) sockets: Vec<TcpStream>,
}

impl Carriage {
    pub(crate) fn lock(&self) -> MutexGuard<'_, CarriageState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fall_silent(&self) {
        self.lock().is_silent = true;
    }

    /// Tells all that wait that something changed.
    pub(crate) fn changed(&self) {
        self.changed.notify_all();
    }

    /// Takes the fault whose step this is.
    pub(crate) fn take_fault(&self, is_it: impl FnOnce(&Step) -> bool) -> Option<WireFault> {
        let mut state = self.lock();
        state.fault.take_if(|fault| is_it(&fault.step))
    }

    /// Waits while all is silent. Returns whether a connection of this age is still carried, or
    /// `None` at the end.
    pub(crate) fn is_carried(&self, age: u64) -> Option<bool> {
        let state = self.lock();
        let waits = |state: &mut CarriageState| state.is_silent && !state.is_over;
        let waited = self.changed.wait_while(state, waits);
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        (!state.is_over).then_some(state.age == age)
    }
}
