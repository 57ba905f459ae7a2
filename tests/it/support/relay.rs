//! What stands between clients and a server, and carries what they say.

use postgres::Config;
use postgres::config::Host;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// A relay before a database. Accepts no more clients once it is dropped.
pub(crate) struct Relay {
    url: String,
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Relay {
    /// Stands before the server of `url`. `carry` is given each client on a thread of its own, and
    /// the server's address.
    pub(crate) fn before(
        url: &str,
        carry: impl Fn(TcpStream, SocketAddr) + Send + Sync + 'static,
    ) -> Relay {
        let config: Config = url.parse().unwrap();
        let server = address_of(&config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let (is_over_now, carry) = (Arc::clone(&is_over), Arc::new(carry));
        let acceptor = spawn("relay", move || {
            for client in listener.incoming() {
                if is_over_now.load(Ordering::Relaxed) {
                    return;
                }
                let (carry, client) = (Arc::clone(&carry), client.unwrap());
                spawn("relay of one client", move || carry(client, server));
            }
        });
        Relay {
            url: through(&config, address),
            address,
            is_over,
            acceptor: Some(acceptor),
        }
    }

    /// Returns the URL that leads through the relay.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Whoever waits for a client gets one, and sees that it is over.
        let _ = TcpStream::connect(self.address);
        let _ = self.acceptor.take().map(JoinHandle::join);
    }
}

/// Carries what one side says on a thread of its own, until either ends.
pub(crate) fn carry_all(mut from: TcpStream, mut to: TcpStream) {
    spawn("relay of one side", move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// Returns where the server of a connection string is.
pub(crate) fn address_of(config: &Config) -> SocketAddr {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        panic!("nothing stands before a server that is reached through a file");
    };
    let mut addresses = (host.as_str(), port).to_socket_addrs().unwrap();
    addresses.next().unwrap()
}

/// Returns the URL of the same database behind another address.
fn through(config: &Config, address: SocketAddr) -> String {
    let user = config.get_user().unwrap_or("postgres");
    let password = config.get_password().map(String::from_utf8_lossy);
    let credentials = match password {
        Some(password) => format!("{user}:{password}"),
        None => user.to_owned(),
    };
    let database = config.get_dbname().unwrap_or(user);
    format!("postgresql://{credentials}@{address}/{database}")
}

/// Starts a thread that nobody waits for, or that the caller does.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    Builder::new().name(name.to_owned()).spawn(body).unwrap()
}
