//! A way to a database that can fall silent: it keeps every connection, accepts new ones, and
//! carries nothing.

use super::relay::{Relay, address_of, spawn};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// A tunnel to a database.
pub(crate) struct Tunnel {
    relay: Relay,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Where new connections lead, if not where the first ones did.
    server: Option<SocketAddr>,
    is_silent: bool,
    is_over: bool,
    /// Falls silent when a client says this, which does not arrive.
    word: Option<&'static str>,
    /// Connections before this number are never carried again.
    age: u64,
    accepted: usize,
    sockets: Vec<TcpStream>,
}

impl Tunnel {
    /// Digs a tunnel to the server of `url`.
    pub(crate) fn to(url: &str) -> Tunnel {
        let shared = Arc::new(Shared::default());
        let carried = Arc::clone(&shared);
        let relay = Relay::before(url, move |client, server| carry(client, server, &carried));
        Tunnel { relay, shared }
    }

    /// Returns the URL that leads through the tunnel.
    pub(crate) fn url(&self) -> &str {
        self.relay.url()
    }

    /// Carries nothing from now on.
    pub(crate) fn fall_silent(&self) {
        self.shared.lock().is_silent = true;
    }

    /// Carries nothing from the moment on in which a client says the word, once.
    pub(crate) fn fall_silent_at(&self, word: &'static str) {
        self.shared.lock().word = Some(word);
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.shared.lock().is_silent
    }

    /// Carries all again, also what was said meanwhile.
    pub(crate) fn heal(&self) {
        self.shared.lock().is_silent = false;
        self.shared.changed.notify_all();
    }

    /// Carries what is new, and forgets the connections that are there, without a word to either
    /// side.
    pub(crate) fn heal_forgetful(&self) {
        self.shared.lock().age += 1;
        self.heal();
    }

    /// Leads new connections to the server of `url`; those that are there stay.
    pub(crate) fn lead_to(&self, url: &str) {
        self.shared.lock().server = Some(address_of(&url.parse().unwrap()));
    }

    /// Ends the connections that are there.
    pub(crate) fn cut(&self) {
        for socket in self.shared.lock().sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Returns how many connections came so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.lock().accepted
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let sockets = {
            let mut state = self.shared.lock();
            state.is_over = true;
            std::mem::take(&mut state.sockets)
        };
        self.shared.changed.notify_all();
        for socket in sockets {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits while all is silent. Returns whether a connection of this age is still carried, or
    /// nothing at the end.
    fn is_carried(&self, age: u64) -> Option<bool> {
        let state = self.lock();
        let waits = |state: &mut State| state.is_silent && !state.is_over;
        let state = self.changed.wait_while(state, waits).unwrap();
        (!state.is_over).then_some(state.age == age)
    }
}

/// Carries one connection, by two threads that end with it.
fn carry(client: TcpStream, server: SocketAddr, shared: &Arc<Shared>) {
    let age = {
        let mut state = shared.lock();
        state.accepted += 1;
        state.sockets.push(client.try_clone().unwrap());
        state.age
    };
    if shared.is_carried(age) != Some(true) {
        return;
    }
    let server = shared.lock().server.unwrap_or(server);
    let Ok(server) = TcpStream::connect(server) else {
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    shared.lock().sockets.push(server.try_clone().unwrap());
    let (client_back, server_back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let back = Arc::clone(shared);
    spawn("tunnel back", move || {
        forward(server_back, client_back, age, &back, false)
    });
    forward(client, server, age, shared, true);
}

fn forward(mut from: TcpStream, mut to: TcpStream, age: u64, shared: &Shared, is_client: bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let said = &buffer[..length];
        if is_client {
            let mut state = shared.lock();
            let is_in = |word: &mut &str| said.windows(word.len()).any(|it| it == word.as_bytes());
            if state.word.take_if(is_in).is_some() {
                state.is_silent = true;
            }
        }
        match shared.is_carried(age) {
            Some(true) if to.write_all(said).is_ok() => {}
            // Forgotten: nobody is told.
            Some(false) => {}
            _ => break,
        }
    }
    if shared.is_carried(age) == Some(true) {
        let _ = to.shutdown(Shutdown::Write);
    }
}
