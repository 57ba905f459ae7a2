//! The TLS library, set up as a connection string says.

use crate::connect::tls_wish::TlsWish;
use crate::connect::url_error::configuration;
use crate::words::{Error, Result};
use std::path::Path;

/// How a server is told that PostgreSQL is what will be spoken; asked for where the handshake comes
/// first.
#[cfg(feature = "rustls")]
const PROTOCOL: &[u8] = b"postgresql";

/// Makes a connector that checks the certificate and the name of the server.
///
/// # Errors
/// `Configuration` when a file cannot be read, or the library has no such thing.
#[cfg(feature = "rustls")]
pub(crate) fn connector(wish: &TlsWish) -> Result<tokio_postgres_rustls::MakeRustlsConnect> {
    use rustls::version::{TLS12, TLS13};

    let versions: &[_] = match (wish.needs_13, wish.refuses_13) {
        (true, _) => &[&TLS13],
        (_, true) => &[&TLS12],
        _ => rustls::DEFAULT_VERSIONS,
    };
    let failed = |error: rustls::Error| configuration("TLS cannot be set up").because(error);
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(failed)?
        .with_root_certificates(roots(wish)?);
    let mut config = match (&wish.certificate, &wish.key) {
        (Some(certificate), Some(key)) => {
            let (certificates, key) = shown(certificate, key)?;
            let shown = builder.with_client_auth_cert(certificates, key);
            shown.map_err(|error| {
                configuration("sslcert and sslkey in the database URL do not fit").because(error)
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    config.enable_sni = !wish.hides_name;
    if wish.is_direct {
        config.alpn_protocols.push(PROTOCOL.to_vec());
    }
    Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
}

/// Returns the authorities to trust.
#[cfg(feature = "rustls")]
fn roots(wish: &TlsWish) -> Result<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    match &wish.root {
        Some(path) => {
            for certificate in certificates("sslrootcert", path)? {
                let added = roots.add(certificate);
                added.map_err(|error| unreadable("sslrootcert", path).because(error))?;
            }
        }
        None => {
            // Some platforms ship a certificate or two that rustls cannot read; the rest will do.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    match roots.is_empty() {
        true => Err(configuration(
            "there is no authority to trust: name one with sslrootcert=FILE",
        )),
        false => Ok(roots),
    }
}

#[cfg(feature = "rustls")]
type Certificates = Vec<rustls::pki_types::CertificateDer<'static>>;

#[cfg(feature = "rustls")]
fn certificates(keyword: &str, path: &Path) -> Result<Certificates> {
    use rustls::pki_types::pem::PemObject;

    let found = rustls::pki_types::CertificateDer::pem_file_iter(path);
    let found = found.and_then(Iterator::collect);
    found.map_err(|error| unreadable(keyword, path).because(error))
}

/// Returns what this client shows of itself: its certificates, and their key.
#[cfg(feature = "rustls")]
fn shown(
    certificate: &Path,
    key: &Path,
) -> Result<(Certificates, rustls::pki_types::PrivateKeyDer<'static>)> {
    use rustls::pki_types::pem::PemObject;

    let secret = rustls::pki_types::PrivateKeyDer::from_pem_file(key);
    let secret = secret.map_err(|error| unreadable("sslkey", key).because(error))?;
    Ok((certificates("sslcert", certificate)?, secret))
}

/// Makes a connector that checks the certificate and the name of the server.
///
/// # Errors
/// `Configuration` when a file cannot be read, or the library has no such thing.
#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
pub(crate) fn connector(wish: &TlsWish) -> Result<postgres_native_tls::MakeTlsConnector> {
    use native_tls::{Certificate, Identity, Protocol, TlsConnector};

    let mut builder = TlsConnector::builder();
    if let Some(path) = &wish.root {
        let unreadable_root = |error| unreadable("sslrootcert", path).because(error);
        let certificates = Certificate::stack_from_pem(&read("sslrootcert", path)?);
        let certificates = certificates.map_err(unreadable_root)?;
        if certificates.is_empty() {
            return Err(unreadable("sslrootcert", path));
        }
        builder.disable_built_in_roots(true);
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    if let (Some(certificate), Some(key)) = (&wish.certificate, &wish.key) {
        let (shown, secret) = (read("sslcert", certificate)?, read("sslkey", key)?);
        let identity = Identity::from_pkcs8(&shown, &secret);
        builder.identity(identity.map_err(|error| {
            configuration(
                "sslcert and sslkey in the database URL do not fit, or the key is not PKCS#8",
            )
            .because(error)
        })?);
    }
    builder.use_sni(!wish.hides_name);
    builder.min_protocol_version(Some(if wish.needs_13 {
        Protocol::Tlsv13
    } else {
        Protocol::Tlsv12
    }));
    if wish.refuses_13 {
        builder.max_protocol_version(Some(Protocol::Tlsv12));
    }
    if wish.is_direct {
        postgres_native_tls::set_postgresql_alpn(&mut builder);
    }
    let connector = builder
        .build()
        .map_err(|error| configuration("TLS cannot be set up").because(error))?;
    Ok(postgres_native_tls::MakeTlsConnector::new(connector))
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
fn read(keyword: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unreadable(keyword, path).because(error))
}

fn unreadable(keyword: &str, path: &Path) -> Error {
    // With a line break in it, it may be more than a path.
    let shown = path
        .to_str()
        .filter(|path| !path.contains(char::is_control));
    configuration(format!(
        "{keyword} {} cannot be read",
        shown.unwrap_or_default()
    ))
}
