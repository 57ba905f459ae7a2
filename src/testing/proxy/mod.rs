//! Faults on real connections, by what stands between clients and the server.
//!
//! ```text
//!   client ──► reads its messages, finds the step ──► server
//!          ◄── carries answers, unless a fault swallows them ──
//! ```
//!
//! A proxy reads the messages of PostgreSQL's protocol that clients say, so that it knows where a
//! transaction is; what servers say it only carries. Each connection has two threads, which end
//! with it. All connections, and the proxy's own thread, end when it is dropped.

mod carriage;
mod carry;
mod conversation;
mod step;

pub use step::Step;

use crate::testing::proxy::carriage::Carriage;
use crate::testing::proxy::carry::carry;
use crate::testing::proxy::step::{FaultAction, WireFault};
use crate::threads::spawn;
use crate::words::{Error, ErrorKind, Result};
use postgres::Config;
use postgres::config::Host;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Stands between a program and its database, and makes happen what happens to connections: they
/// break before or after a step of a transaction, answers are lost, all falls silent, or the whole
/// process dies at a step. Everything else goes through unchanged.
///
/// The faults are real: sockets are closed, and the server and the driver find out as they do in
/// production. Nothing in the library knows of the proxy. A fault happens once, to the connection
/// that comes to its step first; set it before the step, and again for another time.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::testing::{AssertSent, Proxy, Runner, Step, TestDatabase};
/// use outtray::{ErrorKind, Message, Messaging};
///
/// let database = TestDatabase::new()?;
/// let proxy = Proxy::before(database.url())?;
/// let messaging = Messaging::connect(proxy.url())?;
/// messaging.session(|session| Ok(session.send_message("orders", &7)?))?;
/// let mut handled = 0;
/// let mut runner = Runner::new(&messaging).on("orders", |session, order: Message<i32>| {
///     session.send_message("mails", &order.payload)?;
///     Ok(handled += 1)
/// });
///
/// // The connection breaks after the handler, before its COMMIT arrives.
/// proxy.lose_connection(Step::Commit);
/// let error = runner.run_one("orders").expect_err("it broke");
/// assert_eq!(error.kind(), ErrorKind::Unavailable);
/// database.messaging().assert_nothing_sent("mails");
///
/// // So the message is handled again, and its effect is there once.
/// runner.run_until_idle()?;
/// drop(runner);
/// assert_eq!(handled, 2);
/// database.messaging().assert_sent_count("mails", 1);
/// # Ok(()) }
/// ```
///
/// Connections go to 127.0.0.1 without encryption, so that they can be read; through an encrypted
/// one, only [`disconnect`](Self::disconnect) and silence work. A server that is reached by a
/// socket file only has no proxy.
pub struct Proxy {
    url: String,
    address: SocketAddr,
    shared: Arc<Carriage>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Stands before the server of a URL, on a free port.
    ///
    /// # Errors
    /// `Configuration` for a URL that is none or names no address; `Unavailable` where no port or
    /// no thread is to be had.
    pub fn before(url: &str) -> Result<Proxy> {
        let config = read(url)?;
        let server = address_of(&config)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        let shared = Arc::new(Carriage::default());
        shared.lock().server = Some(server);
        let accepting = Arc::clone(&shared);
        let acceptor = spawn("outtray-proxy".to_owned(), move || {
            accept(&listener, &accepting);
        })?;
        Ok(Proxy {
            url: through(&config, address),
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Returns the URL that leads through the proxy to the same database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Breaks the connection that comes to this step: the server never sees the step. So an open
    /// transaction is rolled back.
    pub fn lose_connection(&self, at: impl Into<Step>) {
        self.set(at.into(), FaultAction::Disconnect, true);
    }

    /// Breaks the connection that comes to this step once the server has done it, before the answer
    /// arrives. At [`Step::Commit`] the outcome is unknown to the client:
    /// [`OutcomeUnknown`](ErrorKind::OutcomeUnknown) to a session.
    pub fn lose_reply(&self, at: impl Into<Step>) {
        self.set(at.into(), FaultAction::Disconnect, false);
    }

    /// Aborts this process, as a crash would, when a connection comes to this step, before the
    /// server sees it. For a [`ChildProcess`](crate::testing::ChildProcess).
    pub fn crash_before(&self, at: impl Into<Step>) {
        self.set(at.into(), FaultAction::Abort, true);
    }

    /// Aborts this process when the server has done this step.
    pub fn crash_after(&self, at: impl Into<Step>) {
        self.set(at.into(), FaultAction::Abort, false);
    }

    /// Falls silent when a connection comes to this step, which does not arrive until
    /// [`heal`](Self::heal).
    pub fn fall_silent_at(&self, at: impl Into<Step>) {
        self.set(at.into(), FaultAction::FallSilent, true);
    }

    fn set(&self, step: Step, action: FaultAction, is_before: bool) {
        self.shared.lock().fault = Some(WireFault {
            step,
            action,
            is_before,
        });
    }

    /// Returns whether the last fault that was set has happened, or is happening.
    pub fn has_happened(&self) -> bool {
        self.shared.lock().fault.is_none()
    }

    /// Breaks all connections that are there. New ones are carried.
    pub fn disconnect(&self) {
        for socket in self.shared.lock().sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Carries nothing from now on, in neither direction, and keeps all connections, as a frozen
    /// server or a firewall does. New connections are accepted and not answered.
    pub fn fall_silent(&self) {
        self.shared.fall_silent();
    }

    /// Returns whether all is silent.
    pub fn is_silent(&self) -> bool {
        self.shared.lock().is_silent
    }

    /// Carries all again, also what was said meanwhile.
    pub fn heal(&self) {
        self.shared.lock().is_silent = false;
        self.shared.changed();
    }

    /// Carries new connections, and forgets those that are there without a word to either side, as
    /// a router that was restarted does.
    pub fn heal_forgetful(&self) {
        self.shared.lock().age += 1;
        self.heal();
    }

    /// Leads new connections to the server of another URL; those that are there stay.
    ///
    /// # Errors
    /// The same as [`before`](Self::before).
    pub fn lead_to(&self, url: &str) -> Result<()> {
        let server = address_of(&read(url)?)?;
        self.shared.lock().server = Some(server);
        Ok(())
    }

    /// Returns how many connections came so far.
    pub fn accepted(&self) -> usize {
        self.shared.lock().accepted
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed();
        self.disconnect();
        // Whoever waits for a client gets one, and sees that it is over.
        let _ = TcpStream::connect(self.address);
        let _ = self.acceptor.take().map(JoinHandle::join);
    }
}

impl std::fmt::Debug for Proxy {
    /// Leaves out the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Carriage>) {
    for client in listener.incoming() {
        if shared.lock().is_over {
            return;
        }
        let Ok(client) = client else { continue };
        let carried = Arc::clone(shared);
        let name = "outtray-proxy-client".to_owned();
        // Where no thread is to be had, the client sees a connection that ends.
        let _ = spawn(name, move || carry(&client, &carried));
    }
}

fn read(url: &str) -> Result<Config> {
    url.parse().map_err(|error: postgres::Error| {
        let text = "a proxy needs the URL of a database";
        Error::new(ErrorKind::Configuration, text).because(error)
    })
}

/// Returns where the server of a connection string is.
fn address_of(config: &Config) -> Result<SocketAddr> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let found = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => (host.as_str(), port).to_socket_addrs().ok(),
        _ => None,
    };
    found.and_then(|mut found| found.next()).ok_or_else(|| {
        let text = "a proxy needs a URL with a host and a port that can be found";
        Error::new(ErrorKind::Configuration, text)
    })
}

/// Returns the URL of the same database behind another address.
fn through(config: &Config, address: SocketAddr) -> String {
    let user = config.get_user().unwrap_or("postgres");
    let database = config.get_dbname().unwrap_or(user);
    let quoted = |text: &[u8]| -> String {
        let quote = |byte: &u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(*byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        };
        text.iter().map(quote).collect()
    };
    let mut credentials = quoted(user.as_bytes());
    if let Some(password) = config.get_password() {
        credentials = format!("{credentials}:{}", quoted(password));
    }
    let database = quoted(database.as_bytes());
    format!("postgresql://{credentials}@{address}/{database}")
}

fn no_port(error: std::io::Error) -> Error {
    let text = "a proxy finds no port of 127.0.0.1";
    Error::new(ErrorKind::Unavailable, text).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_proxy_names_the_same_database_and_user() {
        let config = read("postgresql://me%40home:a%2Fb%3A@127.0.0.1:5432/my%20db").unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 7));

        let url = through(&config, address);

        assert_eq!(url, "postgresql://me%40home:a%2Fb%3A@127.0.0.1:7/my%20db");
        let again = read(&url).unwrap();
        assert_eq!(again.get_dbname(), config.get_dbname());
        assert_eq!(again.get_password(), config.get_password());
    }
}
