//! The options of a throwaway server.

use crate::testing::embedded::Embedded;
use crate::testing::server::Server;
use crate::words::{Error, Result};
use std::env;
use std::path::PathBuf;

/// Tests run at once, each with a database and a pool; PostgreSQL's own default is 100.
const MAX_CONNECTIONS: &str = "300";

impl Server {
    /// Connects to the server that `$DATABASE_URL` names, or starts an embedded one. Blocks until
    /// it answers, about a second for an embedded server.
    ///
    /// # Errors
    /// `Server` when no binaries were found, or the server did not start or answer: the text says
    /// where they were searched for and what to install, or ends with the last lines of the
    /// server's log.
    pub fn start() -> Result<Server> {
        Server::builder().start()
    }

    /// Returns a builder, for a server with other settings.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }
}

/// The options of a throwaway server. Made by [`Server::builder`].
#[derive(Debug, Clone, Default)]
pub struct ServerBuilder {
    durable: bool,
    settings: Vec<(String, String)>,
    bin_dir: Option<PathBuf>,
    always_embedded: bool,
}

impl ServerBuilder {
    /// Writes to disk as a production server does. Default `false`: `fsync` and `full_page_writes`
    /// are off, no WAL is kept for replicas, and the files are in memory (`/dev/shm`) where it has
    /// room for 4 GiB, 8 GiB of memory are available, and `$TMPDIR` names no folder. Without it,
    /// committed data survives a crash of the server, as in [`Server::restart_immediately`], but
    /// not of the machine.
    pub fn durable(mut self, durable: bool) -> Self {
        self.durable = durable;
        self
    }

    /// Sets a parameter of the server, as in `postgresql.conf`; the last value of a name counts.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Uses the PostgreSQL binaries in this folder. Default: `$OUTTRAY_POSTGRES_BIN`, then what
    /// `PATH`, `pg_config` and the usual installation folders have, newest first.
    pub fn bin_dir(mut self, bin_dir: impl Into<PathBuf>) -> Self {
        self.bin_dir = Some(bin_dir.into());
        self
    }

    /// Starts an embedded server even when `$DATABASE_URL` is set.
    pub fn always_embedded(mut self) -> Self {
        self.always_embedded = true;
        self
    }

    /// Starts the server, or connects to the one of `$DATABASE_URL`, for which the other settings
    /// have no effect. Blocks until it answers, about a second for an embedded server.
    ///
    /// # Errors
    /// `Server` when no binaries were found, or the server did not start or answer: the text says
    /// where they were searched for, or ends with the last lines of the server's log. `Invalid` for
    /// a setting with an impossible name.
    pub fn start(self) -> Result<Server> {
        let url = env::var("DATABASE_URL")
            .ok()
            .filter(|url| !url.is_empty() && !self.always_embedded);
        match url {
            Some(url) => Server::of_somebody_else(url),
            None => {
                let settings = self.settings_file()?;
                let embedded = Embedded::start(self.bin_dir.as_deref(), &settings, self.durable)?;
                Ok(Server::of_our_own(embedded))
            }
        }
    }

    /// Returns the lines that are appended to initdb's `postgresql.conf`. They do not set the port,
    /// which is chosen anew at each try to start.
    fn settings_file(&self) -> Result<String> {
        let mut settings = vec![
            ("listen_addresses", "127.0.0.1"),
            ("max_connections", MAX_CONNECTIONS),
        ];
        if !self.durable {
            // synchronous_commit stays on: without it a server that is killed loses the last half
            // second of commits, and without fsync it costs next to nothing.
            settings.extend([
                ("fsync", "off"),
                ("full_page_writes", "off"),
                ("wal_level", "minimal"),
                ("max_wal_senders", "0"),
            ]);
        }
        let own = self.settings.iter();
        settings.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
        let lines: Result<Vec<String>> = settings
            .into_iter()
            .map(|(name, value)| setting_line(name, value))
            .collect();
        Ok(lines?.concat())
    }
}

fn setting_line(name: &str, value: &str) -> Result<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(Error::invalid(format!(
            "\"{}\" is not the name of a PostgreSQL setting, use letters, digits, _ and .",
            name.escape_debug()
        )));
    }
    let value = value
        .replace('\\', "\\\\")
        .replace('\'', "''")
        .replace('\n', "\\n");
    Ok(format!("{name} = '{value}'\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::ErrorKind;

    #[test]
    fn values_are_quoted_and_the_last_of_a_name_comes_last() {
        let file = ServerBuilder::default()
            .setting("application_name", "it's a \\ and\na line")
            .setting("fsync", "on")
            .settings_file()
            .unwrap();

        assert!(file.contains("application_name = 'it''s a \\\\ and\\na line'\n"));
        assert!(file.find("fsync = 'off'") < file.find("fsync = 'on'"));
    }

    #[test]
    fn a_durable_server_keeps_the_defaults_of_postgresql() {
        let file = ServerBuilder::default()
            .durable(true)
            .settings_file()
            .unwrap();

        assert!(
            !file.contains("fsync") && !file.contains("wal_level"),
            "{file}"
        );
    }

    #[test]
    fn a_name_that_cannot_be_one_is_refused() {
        for name in ["", "a b", "a = 1\nb"] {
            let error = setting_line(name, "1").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
        }
    }
}
