//! TLS: what the URL asks for, and the one place where the connector's type is erased.
//!
//! The driver is generic over the TLS library, and so would be everything that holds a connection.
//! A [`Dialer`] hides which one it is.
//!
//! `sslmode` takes libpq's words, with one difference: there is no silent way to plain text.
//! `require`, `verify-ca` and `verify-full` all check the certificate and the host name; `allow`
//! and `prefer` are refused. Without `sslmode`, this machine is reached in plain text, and any other
//! host with `verify-full`. `sslrootcert=FILE` (PEM) names the authority to trust instead of the
//! platform's.

#[cfg(any(feature = "native-tls", feature = "rustls"))]
use crate::connect::connector::Encrypted;
use crate::connect::connector::{Plain, WiredMaker};
use crate::connect::settings::configuration;
use crate::connect::wired::Wiring;
use crate::words::Result;
use postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};
use postgres::{Client, Config, NoTls};
use r2d2::ManageConnection;
use r2d2_postgres::PostgresConnectionManager;
use std::path::PathBuf;
use std::time::Duration;

/// What a URL says about TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsWish {
    mode: Option<String>,
    root: Option<PathBuf>,
}

impl TlsWish {
    /// Takes the TLS parameters out of a URL or `key=value` string; the driver knows only some.
    pub(crate) fn take_from(url: &str) -> (String, TlsWish) {
        let mut wish = TlsWish::default();
        let is_url = url.starts_with("postgresql://") || url.starts_with("postgres://");
        let (base, parameters, separator) = match url.split_once('?') {
            Some((base, parameters)) if is_url => (base, parameters, '&'),
            _ if is_url => return (url.to_owned(), wish),
            _ => ("", url, ' '),
        };
        let kept: Vec<&str> = parameters
            .split(separator)
            .filter(|parameter| !wish.take(parameter))
            .collect();
        let kept = kept.join(&separator.to_string());
        let url = match (is_url, kept.is_empty()) {
            (true, true) => base.to_owned(),
            (true, false) => format!("{base}?{kept}"),
            (false, _) => kept,
        };
        (url, wish)
    }

    fn take(&mut self, parameter: &str) -> bool {
        match parameter.split_once('=') {
            Some(("sslmode", mode)) => self.mode = Some(mode.to_owned()),
            Some(("sslrootcert", path)) => self.root = Some(path.replace("%2F", "/").into()),
            _ => return false,
        }
        true
    }

    /// Decides whether connections are encrypted.
    ///
    /// # Errors
    /// `Configuration` for a mode that would allow plain text by surprise.
    pub(crate) fn is_wanted(&self, config: &Config) -> Result<bool> {
        match self.mode.as_deref() {
            Some("disable") => Ok(false),
            Some("require" | "verify-ca" | "verify-full") => Ok(true),
            None => Ok(!is_this_machine(config)),
            Some(other) => Err(configuration(format!(
                "sslmode={} is not offered, because it may send plain text without a word: use \
                 verify-full or disable",
                other.escape_debug()
            ))),
        }
    }
}

/// Returns whether no network lies between: a socket file, or a loopback address.
fn is_this_machine(config: &Config) -> bool {
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    let hosts = config.get_hosts();
    let addresses = config.get_hostaddrs();
    hosts.iter().all(is_local) && addresses.iter().all(|address| address.is_loopback())
}

/// Opens connections, encrypted or not.
pub(crate) struct Dialer {
    config: Config,
    library: Library,
}

/// What encrypts.
enum Library {
    /// Nothing, and there is a file among the hosts: the driver lets nobody near such a stream.
    Bare,
    /// Nothing.
    Plain,
    #[cfg(feature = "rustls")]
    Rustls(Encrypted<tokio_postgres_rustls::MakeRustlsConnect>),
    #[cfg(all(feature = "native-tls", not(feature = "rustls")))]
    NativeTls(Encrypted<postgres_native_tls::MakeTlsConnector>),
}

impl Dialer {
    /// Makes a dialer; with TLS, through `rustls` where both libraries are compiled in.
    ///
    /// # Errors
    /// `Configuration` when TLS is wanted and not compiled in, or its certificates cannot be read.
    pub(crate) fn new(mut config: Config, wish: &TlsWish) -> Result<Self> {
        let library = match wish.is_wanted(&config)? {
            true => encrypted(&config, wish)?,
            #[cfg(unix)]
            false if config.get_hosts().iter().any(is_file) => Library::Bare,
            false => Library::Plain,
        };
        if matches!(library, Library::Bare) {
            config.ssl_mode(SslMode::Disable);
        } else {
            // The driver then hands every stream to the connector at once.
            config.ssl_mode(SslMode::Require);
            config.ssl_negotiation(SslNegotiation::Direct);
            name_addresses(&mut config);
        }
        Ok(Dialer { config, library })
    }

    /// Returns whether a standby is what the URL asks for.
    pub(crate) fn takes_standby(&self) -> bool {
        self.config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly
    }

    /// Opens a connection. Blocks for the connect timeout for each address, `most` if that is less, and for a handshake.
    pub(crate) fn connect(
        &self,
        most: Option<Duration>,
        wiring: Wiring,
    ) -> Result<Client, postgres::Error> {
        let mut config = self.config.clone();
        let timeout = config.get_connect_timeout().copied();
        if let Some(most) = most {
            config.connect_timeout(timeout.map_or(most, |timeout| timeout.min(most)));
        }
        match &self.library {
            Library::Bare => PostgresConnectionManager::new(config, NoTls).connect(),
            Library::Plain => PostgresConnectionManager::new(
                config,
                WiredMaker {
                    library: Plain,
                    wiring,
                },
            )
            .connect(),
            #[cfg(feature = "rustls")]
            Library::Rustls(library) => PostgresConnectionManager::new(
                config,
                WiredMaker {
                    library: library.clone(),
                    wiring,
                },
            )
            .connect(),
            #[cfg(all(feature = "native-tls", not(feature = "rustls")))]
            Library::NativeTls(library) => PostgresConnectionManager::new(
                config,
                WiredMaker {
                    library: library.clone(),
                    wiring,
                },
            )
            .connect(),
        }
    }
}

#[cfg(unix)]
fn is_file(host: &Host) -> bool {
    matches!(host, Host::Unix(_))
}

/// Names hosts that have addresses only by those: the driver hands no nameless stream to a connector.
fn name_addresses(config: &mut Config) {
    if config.get_hosts().is_empty() {
        for address in config.get_hostaddrs().to_vec() {
            config.host(&address.to_string());
        }
    }
}

#[cfg(feature = "rustls")]
fn encrypted(config: &Config, wish: &TlsWish) -> Result<Library> {
    Ok(Library::Rustls(Encrypted {
        library: with_rustls(wish)?,
        asks: config.get_ssl_negotiation() == SslNegotiation::Postgres,
    }))
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
fn encrypted(config: &Config, wish: &TlsWish) -> Result<Library> {
    Ok(Library::NativeTls(Encrypted {
        library: with_native_tls(wish)?,
        asks: config.get_ssl_negotiation() == SslNegotiation::Postgres,
    }))
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
fn encrypted(_: &Config, _: &TlsWish) -> Result<Library> {
    Err(configuration(
        "the server is on another machine, or sslmode asks for TLS, and this build has none: \
         build outtray with the feature rustls or native-tls, or say sslmode=disable in the URL",
    ))
}

#[cfg(feature = "rustls")]
fn with_rustls(wish: &TlsWish) -> Result<tokio_postgres_rustls::MakeRustlsConnect> {
    use rustls::RootCertStore;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let mut roots = RootCertStore::empty();
    match &wish.root {
        Some(path) => {
            let unreadable = |error| unreadable_root(path).because(error);
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                roots
                    .add(certificate.map_err(unreadable)?)
                    .map_err(|error| unreadable_root(path).because(error))?;
            }
        }
        None => {
            // Some platforms ship a certificate or two that rustls cannot read; the rest will do.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(configuration(
            "there is no authority to trust: name one with sslrootcert=FILE",
        ));
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| configuration("TLS cannot be set up").because(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
fn with_native_tls(wish: &TlsWish) -> Result<postgres_native_tls::MakeTlsConnector> {
    let mut builder = native_tls::TlsConnector::builder();
    if let Some(path) = &wish.root {
        let pem = std::fs::read(path).map_err(|error| unreadable_root(path).because(error))?;
        let certificates = native_tls::Certificate::stack_from_pem(&pem)
            .map_err(|error| unreadable_root(path).because(error))?;
        if certificates.is_empty() {
            return Err(unreadable_root(path));
        }
        builder.disable_built_in_roots(true);
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    let connector = builder
        .build()
        .map_err(|error| configuration("TLS cannot be set up").because(error))?;
    Ok(postgres_native_tls::MakeTlsConnector::new(connector))
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
fn unreadable_root(path: &std::path::Path) -> crate::words::Error {
    configuration(format!("sslrootcert {} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<bool>) {
        let (url, wish) = TlsWish::take_from(url);
        assert!(
            !url.contains("sslmode") && !url.contains("sslrootcert"),
            "{url}"
        );
        let config: Config = url.parse().unwrap();
        assert_eq!(wish.is_wanted(&config).ok(), expected, "{url}");
    }

    #[test]
    fn plain_text_leaves_this_machine_only_when_it_is_asked_for() {
        check("postgresql://u@localhost/d", Some(false));
        check("postgresql://u@127.0.0.1:6000/d", Some(false));
        check("host=/var/run/postgresql user=u", Some(false));
        check("postgresql://u@db/d", Some(true));
        check("host=db user=u", Some(true));
        check("postgresql://u@db/d?sslmode=disable", Some(false));
        check("host=db sslmode=disable user=u", Some(false));
        check(
            "postgresql://u@localhost/d?connect_timeout=3&sslmode=require",
            Some(true),
        );
        check(
            "postgresql://u@db/d?sslmode=verify-full&sslrootcert=/x.pem",
            Some(true),
        );
        check("postgresql://u@db/d?sslmode=prefer", None);
        check("postgresql://u@db/d?sslmode=allow", None);
    }

    #[cfg(not(any(feature = "native-tls", feature = "rustls")))]
    #[test]
    fn a_build_without_tls_says_so_instead_of_going_on_in_plain_text() {
        let config: Config = "postgresql://u@db/d".parse().unwrap();
        let error = Dialer::new(config, &TlsWish::default()).err().unwrap();
        assert!(error.to_string().contains("feature rustls"), "{error}");
    }
}
