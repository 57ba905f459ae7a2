//! The wire between a client and the server, which a test can cut at a word.

use postgres::Config;
use postgres::config::Host;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

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
    url: String,
    address: SocketAddr,
    cut: Arc<Mutex<Option<Cut>>>,
    is_over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Wire {
    /// Lays a wire to the server of `url`.
    pub(crate) fn to(url: &str) -> Wire {
        let config: Config = url.parse().unwrap();
        let server = address_of(&config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let cut = Arc::new(Mutex::new(None));
        let is_over = Arc::new(AtomicBool::new(false));
        let (accepted_cut, accepted_over) = (Arc::clone(&cut), Arc::clone(&is_over));
        let acceptor = spawn("wire", move || {
            for client in listener.incoming() {
                if accepted_over.load(Ordering::Relaxed) {
                    return;
                }
                carry(client.unwrap(), server, &accepted_cut);
            }
        });
        Wire {
            url: through(&config, address),
            address,
            cut,
            is_over,
            acceptor: Some(acceptor),
        }
    }

    /// Returns the URL that leads through the wire.
    pub(crate) fn url(&self) -> &str {
        &self.url
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

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Whoever waits for a client gets one, and sees that it is over.
        let _ = TcpStream::connect(self.address);
        let _ = self.acceptor.take().map(JoinHandle::join);
    }
}

/// Carries one connection, by two threads that end with it.
fn carry(client: TcpStream, server: SocketAddr, cut: &Arc<Mutex<Option<Cut>>>) {
    let server = TcpStream::connect(server).unwrap();
    let (client_back, server_back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let cut = Arc::clone(cut);
    spawn("wire to the server", move || forward(client, server, &cut));
    spawn("wire to the client", move || {
        let (mut from, mut to) = (server_back, client_back);
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
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

pub(super) fn address_of(config: &Config) -> SocketAddr {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        panic!("a server that is reached through a file has no wire");
    };
    let mut addresses = (host.as_str(), port).to_socket_addrs().unwrap();
    addresses.next().unwrap()
}

/// Returns the URL of the same database behind another address.
pub(super) fn through(config: &Config, address: SocketAddr) -> String {
    let user = config.get_user().unwrap_or("postgres");
    let password = config.get_password().map(String::from_utf8_lossy);
    let credentials = match password {
        Some(password) => format!("{user}:{password}"),
        None => user.to_owned(),
    };
    let database = config.get_dbname().unwrap_or(user);
    format!("postgresql://{credentials}@{address}/{database}")
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().name(name.to_owned()).spawn(body).unwrap()
}
