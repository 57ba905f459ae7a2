//! The one place where the TLS library's types are erased. The driver is generic over them, and so
//! would be everything that holds a connection. A [`Dialer`] hides which library it is, and goes
//! from server to server.

#[cfg(any(feature = "native-tls", feature = "rustls"))]
use crate::connect::connector::Encrypted;
use crate::connect::connector::{Plain, WiredMaker};
use crate::connect::endpoints::Endpoint;
use crate::connect::greeting::{READ_ONLY, names};
use crate::connect::preference::Preference;
#[cfg(any(feature = "native-tls", feature = "rustls"))]
use crate::connect::tls_library::connector;
use crate::connect::tls_wish::TlsWish;
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
use crate::connect::url_error::configuration;
use crate::connect::wiring::Wiring;
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
    /// In which order they are tried.
    pub(crate) preference: Preference,
    takes_standby: bool,
    /// Whether the URL itself says that nothing is to be written.
    only_reads: bool,
    is_shuffled: bool,
    /// Those of the servers that may be moved.
    pub(crate) names: Vec<Endpoint>,
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
        let is_shuffled = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        let options = config.get_options().unwrap_or_default();
        Ok(Dialer {
            servers: endpoints
                .iter()
                .map(|endpoint| TlsServer::new(config, endpoint))
                .collect(),
            library,
            preference: Preference::new(endpoints.len(), is_shuffled),
            takes_standby: config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly,
            only_reads: names(options).iter().any(|name| name == READ_ONLY),
            is_shuffled,
            names: match is_shuffled {
                true => Vec::new(),
                false => endpoints
                    .iter()
                    .filter(|one| one.may_move())
                    .cloned()
                    .collect(),
            },
        })
    }

    /// Returns how many servers there are.
    pub(crate) fn count(&self) -> usize {
        self.servers.len()
    }

    /// Returns whether all connections are to lead to one server, the primary.
    pub(crate) fn has_one_primary(&self) -> bool {
        !self.takes_standby && !self.is_shuffled
    }

    /// Returns whether a server that takes no writes will do.
    pub(crate) fn is_any_fit(&self) -> bool {
        self.takes_standby || self.only_reads
    }

    /// Returns whether a standby is what the URL asks for.
    pub(crate) fn takes_standby(&self) -> bool {
        self.takes_standby
    }

    /// Opens a connection to the first of some servers that lets us in. Blocks for the connect
    /// timeout for each address, `most` if that is less, and for a handshake. The error is that of
    /// the last server.
    pub(crate) fn connect(
        &self,
        servers: &[usize],
        most: Option<Duration>,
        wiring: &Wiring,
    ) -> DriverResult<Client> {
        let (first, rest) = servers.split_first().expect("there is a server to try");
        let first = self.try_one(*first, most, wiring);
        rest.iter().fold(first, |before, server| {
            before.or_else(|_| self.try_one(*server, most, wiring))
        })
    }

    /// Opens a connection to a server, and remembers whether it lets us in.
    fn try_one(
        &self,
        server: usize,
        most: Option<Duration>,
        wiring: &Wiring,
    ) -> DriverResult<Client> {
        wiring.begin(server);
        let called = self.call(&self.servers[server], most, wiring);
        match &called {
            Ok(_) => self.preference.note_reached(server),
            // Its time was over since another try succeeded, maybe of the same server.
            Err(_) if wiring.is_cancelled() => {}
            Err(_) => self.preference.note_failed(server),
        }
        called
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
