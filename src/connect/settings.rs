//! Where the database is, and how to hold a connection to it.
//!
//! The driver's own defaults wait for ever: no connect timeout, keepalives after two hours, and a
//! silent fallback to plain text. Ours find a dead peer within half a minute, on both sides.

use crate::connect::dial::Dial;
use crate::connect::endpoints::Endpoint;
use crate::connect::greeting::Greeting;
use crate::connect::keywords::Meant;
use crate::connect::statement_cache::Losses;
use crate::connect::tls::Dialer;
use crate::schema::name::SchemaName;
use crate::words::Result;
use postgres::Config;
use std::time::Duration;

/// Within which time a connection that is silent is noticed, unless somebody says otherwise.
pub(crate) const SILENCE: Duration = Duration::from_secs(15);

/// All that is needed to open a connection.
pub(crate) struct ConnectionSettings {
    pub(crate) dial: Dial,
    pub(crate) schema: SchemaName,
    /// Whether a pooler may sit between: no named statements, no session state, no LISTEN.
    pub(crate) is_pooler_safe: bool,
    /// What the application calls itself.
    pub(crate) program: String,
    /// Where this leads, fit for error texts: no user, no password.
    pub(crate) target: String,
    /// How often prepared statements were gone.
    pub(crate) losses: Losses,
    /// Within which time a connection that is silent is noticed.
    pub(crate) silence: Duration,
}

impl ConnectionSettings {
    /// Reads a URL, or a `key=value` string, and lays our defaults under it.
    ///
    /// # Errors
    /// `Configuration` for a malformed URL, one that asks for what is not done here, or one that
    /// wants TLS in a build without it.
    pub(crate) fn new(
        url: &str,
        schema: SchemaName,
        is_pooler_safe: bool,
        silence: Duration,
    ) -> Result<Self> {
        let Meant {
            mut config,
            endpoints,
            tls,
        } = Meant::read(url, usual())?;
        if config.get_application_name().is_none() {
            config.application_name("outtray");
        }
        let greeting = Greeting::new(config.get_options().unwrap_or_default(), is_pooler_safe);
        Ok(ConnectionSettings {
            target: target(&config, &endpoints),
            program: config.get_application_name().unwrap_or_default().to_owned(),
            dial: Dial::new(
                patience(&config, endpoints.len()),
                2 * config.get_connect_timeout().copied().unwrap_or_default(),
                Dialer::new(&config, &endpoints, &tls)?,
                greeting,
            ),
            silence,
            schema,
            is_pooler_safe,
            losses: Losses::default(),
        })
    }
}

/// Returns how long to wait for a connection in all. The driver goes from host to host, each with
/// the whole timeout for TCP; twice that is left for the handshake.
fn patience(config: &Config, servers: usize) -> Duration {
    let each = config.get_connect_timeout().copied().unwrap_or_default();
    each.saturating_mul(u32::try_from(servers.saturating_add(2)).unwrap_or(u32::MAX))
}

/// Returns what a connection is like where the URL says nothing.
fn usual() -> Config {
    let mut config = Config::new();
    config
        .connect_timeout(Duration::from_secs(5))
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(30));
    config
}

fn target(config: &Config, endpoints: &[Endpoint]) -> String {
    let servers: Vec<String> = endpoints.iter().map(Endpoint::to_string).collect();
    let database = config
        .get_dbname()
        .or(config.get_user())
        .unwrap_or_default();
    format!("{}/{database}", servers.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::ErrorKind;

    fn settings(url: &str) -> Result<ConnectionSettings> {
        ConnectionSettings::new(
            url,
            SchemaName::parse("outtray").unwrap(),
            false,
            Duration::from_secs(15),
        )
    }

    #[test]
    fn our_defaults_lie_under_what_the_url_says() {
        let url = "postgresql://me:secret@db:6000/app?connect_timeout=1&keepalives_idle=7200\
            &keepalives_interval=0&options=-c%20lock_timeout%3D9";
        let Meant {
            config, endpoints, ..
        } = Meant::read(url, usual()).unwrap();

        // What the driver has by itself counts, too, where it is said.
        assert_eq!(config.get_keepalives_idle(), Duration::from_secs(7200));
        assert_eq!(
            config.get_keepalives_interval(),
            Some(Duration::from_secs(5))
        );
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(1)));
        assert_eq!(config.get_options(), Some("-c lock_timeout=9"));
        assert_eq!(target(&config, &endpoints), "db:6000/app");
    }

    #[test]
    fn a_malformed_url_is_refused_without_showing_it() {
        for url in [
            "postgresql://me:secret@db:port/x",
            "nonsense",
            "",
            "postgresql://",
        ] {
            let error = settings(url).err().expect(url);
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
            assert!(!format!("{error:?}").contains("secret"));
        }
    }
}
