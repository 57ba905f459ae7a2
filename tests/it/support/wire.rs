//! The wire between a client and the server, which a test can cut at a word.

use super::relay::{Relay, carry_all};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

/// The call of the statement that commits, in the flight that it ends. Its name is said before,
/// too, when it is prepared, but not after a zero.
pub(crate) const COMMIT: &str = "\0outtray_commit\0";

/// Where to cut, and whether the word still arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never sees the word.
    Before(&'static str),
    /// The server gets the word, and the client no answer.
    After(&'static str),
}

/// A wire to a database. Each connection through it is carried until a cut.
pub(crate) struct Wire {
    relay: Relay,
    cut: Arc<Mutex<Option<Cut>>>,
}

impl Wire {
    /// Lays a wire to the server of `url`.
    pub(crate) fn to(url: &str) -> Wire {
        let cut = Arc::new(Mutex::new(None));
        let carried_cut = Arc::clone(&cut);
        let relay = Relay::before(url, move |client, server| {
            carry(client, server, &carried_cut)
        });
        Wire { relay, cut }
    }

    /// Returns the URL that leads through the wire.
    pub(crate) fn url(&self) -> &str {
        self.relay.url()
    }

    /// Has the wire cut, once, for the connection that says the word next.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.cut.lock().unwrap() = Some(cut);
    }

    /// Returns whether the cut was made.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.lock().unwrap().is_none()
    }
}

/// Carries one connection until either side ends.
fn carry(client: TcpStream, server: SocketAddr, cut: &Mutex<Option<Cut>>) {
    let server = TcpStream::connect(server).unwrap();
    carry_all(server.try_clone().unwrap(), client.try_clone().unwrap());
    forward(client, server, cut);
}

/// Carries what the client says until it ends or the cut is made.
fn forward(mut client: TcpStream, mut server: TcpStream, cut: &Mutex<Option<Cut>>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let said = &buffer[..length];
        let made = cut.lock().unwrap().take_if(|cut| is_in(said, cut.word()));
        if made.is_some() {
            // First of all: no answer may come through.
            let _ = client.shutdown(Shutdown::Both);
        }
        if !matches!(made, Some(Cut::Before(_))) && server.write_all(said).is_err() {
            break;
        }
        if made.is_some() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Write);
}

impl Cut {
    fn word(self) -> &'static str {
        match self {
            Cut::Before(word) | Cut::After(word) => word,
        }
    }
}

fn is_in(said: &[u8], word: &str) -> bool {
    said.windows(word.len()).any(|part| part == word.as_bytes())
}
