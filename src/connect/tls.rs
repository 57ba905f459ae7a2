//! The one place where the TLS library's types are erased. The driver is generic over them, and so
//! would be everything that holds a connection. A [`Dialer`] hides which library it is, and goes
//! from server to server.

#[cfg(any(feature = "native-tls", feature = "rustls"))]
use crate::connect::connector::Encrypted;
use crate::connect::connector::{Plain, WiredMaker};
use crate::connect::endpoints::Endpoint;
#[cfg(any(feature = "native-tls", feature = "rustls"))]
use crate::connect::tls_library::connector;
use crate::connect::tls_wish::TlsWish;
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
use crate::connect::url_error::configuration;
use crate::connect::wired::Wiring;
use crate::words::{DriverResult, Result};
use postgres::config::{LoadBalanceHosts, SslMode, SslNegotiation, TargetSessionAttrs};
use postgres::{Client, Config, NoTls};
use r2d2::ManageConnection;
use r2d2_postgres::PostgresConnectionManager;
use std::time::Duration;

/// Opens connections, encrypted or not.
pub(crate) struct Dialer {
    /// At least one.
    servers: Vec<TlsServer>,
    library: Library,
    takes_standby: bool,
    is_shuffled: bool,
}

/// One server.
struct TlsServer {
    config: Config,
    /// The driver lets nobody near the stream of a file.
    is_file: bool,
}

/// What encrypts the streams that are not those of files.
enum Library {
    /// Nothing.
    Plain,
    #[cfg(feature = "rustls")]
    Rustls(Encrypted<tokio_postgres_rustls::MakeRustlsConnect>),
    #[cfg(all(feature = "native-tls", not(feature = "rustls")))]
    NativeTls(Encrypted<postgres_native_tls::MakeTlsConnector>),
}

impl Dialer {
    /// Makes a dialer; with TLS, through `rustls` where both libraries are compiled in. `config`
    /// names no host.
    ///
    /// # Errors
    /// `Configuration` when TLS is wanted and not compiled in, or its certificates cannot be read.
    pub(crate) fn new(config: &Config, endpoints: &[Endpoint], wish: &TlsWish) -> Result<Self> {
        let is_tls = wish.is_wanted(endpoints) && !endpoints.iter().all(Endpoint::is_file);
        let library = if is_tls {
            encrypted(wish)?
        } else {
            Library::Plain
        };
        Ok(Dialer {
            servers: endpoints
                .iter()
                .map(|endpoint| TlsServer::new(config, endpoint))
                .collect(),
            library,
            takes_standby: config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly,
            is_shuffled: config.get_load_balance_hosts() == LoadBalanceHosts::Random,
        })
    }

    /// Returns whether a standby is what the URL asks for.
    pub(crate) fn takes_standby(&self) -> bool {
        self.takes_standby
    }

    /// Opens a connection to the first server that lets us in. Blocks for the connect timeout for
    /// each address, `most` if that is less, and for a handshake. The error is that of the last
    /// server.
    pub(crate) fn connect(&self, most: Option<Duration>, wiring: &Wiring) -> DriverResult<Client> {
        let mut servers: Vec<&TlsServer> = self.servers.iter().collect();
        if self.is_shuffled {
            fastrand::shuffle(&mut servers);
        }
        let mut rest = servers.into_iter();
        let first = rest.next().expect("a connection string names a host");
        rest.fold(self.call(first, most, wiring), |before, server| {
            before.or_else(|_| self.call(server, most, wiring))
        })
    }

    fn call(
        &self,
        server: &TlsServer,
        most: Option<Duration>,
        wiring: &Wiring,
    ) -> DriverResult<Client> {
        let mut config = server.config.clone();
        let timeout = config.get_connect_timeout().copied();
        if let Some(most) = most {
            config.connect_timeout(timeout.map_or(most, |timeout| timeout.min(most)));
        }
        if server.is_file {
            // The stream of the server before is not this one's.
            wiring.release();
            return PostgresConnectionManager::new(config, NoTls).connect();
        }
        let wiring = wiring.clone();
        match &self.library {
            Library::Plain => {
                let library = Plain;
                PostgresConnectionManager::new(config, WiredMaker { library, wiring }).connect()
            }
            #[cfg(feature = "rustls")]
            Library::Rustls(library) => {
                let library = library.clone();
                PostgresConnectionManager::new(config, WiredMaker { library, wiring }).connect()
            }
            #[cfg(all(feature = "native-tls", not(feature = "rustls")))]
            Library::NativeTls(library) => {
                let library = library.clone();
                PostgresConnectionManager::new(config, WiredMaker { library, wiring }).connect()
            }
        }
    }
}

impl TlsServer {
    fn new(config: &Config, endpoint: &Endpoint) -> Self {
        let (mut config, is_file) = (endpoint.alone(config), endpoint.is_file());
        if is_file {
            config.ssl_mode(SslMode::Disable);
        } else {
            // The driver then hands every stream to the connector at once.
            config.ssl_mode(SslMode::Require);
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        TlsServer { config, is_file }
    }
}

#[cfg(feature = "rustls")]
fn encrypted(wish: &TlsWish) -> Result<Library> {
    let (library, asks) = (connector(wish)?, !wish.is_direct);
    Ok(Library::Rustls(Encrypted { library, asks }))
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
fn encrypted(wish: &TlsWish) -> Result<Library> {
    let (library, asks) = (connector(wish)?, !wish.is_direct);
    Ok(Library::NativeTls(Encrypted { library, asks }))
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
fn encrypted(_: &TlsWish) -> Result<Library> {
    Err(configuration(
        "the server is on another machine, or sslmode asks for TLS, and this build has none: \
         build outtray with the feature rustls or native-tls, or say sslmode=disable in the URL",
    ))
}
