//! The server that all are measured on, and databases on it. A system gets one with its schema; a
//! round gets a copy, so that no round finds what another left behind.

use crate::failure::{Failure, Result};
use outtray::testing::Server;
use postgres::config::Host;
use postgres::{Client, Config, NoTls};
use std::path::PathBuf;

/// What differs from the server's defaults, beside that it listens to this machine alone.
pub const SETTINGS: [(&str, &str); 3] = [
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    // Whole pages in the WAL after a checkpoint would be counted for whoever comes first.
    ("checkpoint_timeout", "30min"),
];

/// The server and a connection to administer it.
pub struct Bed {
    server: Server,
    admin: Client,
}

/// What a database wrote and committed so far.
#[derive(Clone, Copy)]
pub struct Counters {
    /// Position in the WAL, in bytes.
    pub wal: i64,
    /// Transactions committed.
    pub commits: i64,
}

impl Bed {
    /// Starts a throwaway server with fsync and synchronous_commit on.
    pub fn start() -> Result<Bed> {
        let mut builder = Server::builder().always_embedded().durable(true);
        for (name, value) in SETTINGS {
            builder = builder.setting(name, value);
        }
        let server = builder.start()?;
        let admin = Client::connect(server.url(), NoTls)?;
        Ok(Bed { server, admin })
    }

    /// Returns the URL of a database.
    pub fn url(&self, database: &str) -> String {
        let (server, _) = self.server.url().rsplit_once('/').unwrap_or_default();
        format!("{server}/{database}")
    }

    /// Returns the environment that names a database, to runners and to libpq.
    pub fn environment(&self, database: &str) -> Vec<(&'static str, String)> {
        let url = self.url(database);
        let config: Config = url.parse().unwrap_or_default();
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            _ => String::new(),
        };
        let port = config.get_ports().first().copied().unwrap_or_default();
        let password = config.get_password().unwrap_or_default();
        vec![
            ("PGHOST", host),
            ("PGPORT", port.to_string()),
            ("PGUSER", config.get_user().unwrap_or_default().to_owned()),
            ("PGPASSWORD", String::from_utf8_lossy(password).into_owned()),
            ("PGDATABASE", database.to_owned()),
            ("PEER_URL", url),
        ]
    }

    /// Returns the folder of the server's programs, `pgbench` among them.
    pub fn programs(&self) -> PathBuf {
        self.server.bin_dir().map(PathBuf::from).unwrap_or_default()
    }

    /// Returns the folder that the server writes to.
    pub fn data(&self) -> PathBuf {
        self.server
            .data_dir()
            .map(PathBuf::from)
            .unwrap_or_default()
    }

    /// Returns a setting or a version, in the server's own words.
    pub fn show(&mut self, name: &str) -> Result<String> {
        Ok(self.admin.query_one(&format!("SHOW {name}"), &[])?.get(0))
    }

    /// Returns the date of today.
    pub fn today(&mut self) -> Result<String> {
        Ok(self
            .admin
            .query_one("SELECT current_date::text", &[])?
            .get(0))
    }

    /// Returns the version of an extension that can be created, `None` when it is not installed.
    pub fn extension(&mut self, name: &str) -> Result<Option<String>> {
        let sql = "SELECT default_version FROM pg_available_extensions WHERE name = $1";
        let row = self.admin.query_opt(sql, &[&name])?;
        Ok(row.map(|row| row.get(0)))
    }

    /// Makes a database with the table that handlers insert into.
    pub fn create(&mut self, database: &str) -> Result<()> {
        self.admin
            .execute(&format!("CREATE DATABASE {database}"), &[])?;
        self.run(database, "CREATE TABLE thing (n bigint NOT NULL)")
    }

    /// Makes a copy of a database. It is written to the WAL page by page, so that none of its pages
    /// has to be written whole again in the round that follows.
    pub fn copy(&mut self, from: &str, to: &str) -> Result<()> {
        self.wait_until_unused(from)?;
        self.drop(to)?;
        let sql = format!("CREATE DATABASE {to} TEMPLATE {from} STRATEGY wal_log");
        self.admin.execute(&sql, &[])?;
        Ok(())
    }

    /// Removes a database, if it is there. The server makes a checkpoint with it.
    pub fn drop(&mut self, database: &str) -> Result<()> {
        let sql = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        self.admin.execute(&sql, &[])?;
        Ok(())
    }

    /// Sees to it that the planner knows what a database holds.
    pub fn settle(&mut self, database: &str) -> Result<()> {
        self.wait_until_unused(database)?;
        self.run(database, "VACUUM ANALYZE")
    }

    /// Reads the counters of a database that nobody uses any more: sessions add theirs as they end.
    pub fn counters(&mut self, database: &str) -> Result<Counters> {
        self.wait_until_unused(database)?;
        let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint, xact_commit
                   FROM pg_stat_database WHERE datname = $1";
        let row = self.admin.query_one(sql, &[&database])?;
        Ok(Counters {
            wal: row.get(0),
            commits: row.get(1),
        })
    }

    fn run(&self, database: &str, sql: &str) -> Result<()> {
        Ok(Client::connect(&self.url(database), NoTls)?.batch_execute(sql)?)
    }

    /// Waits until the sessions of a runner that has ended are gone, and ends those that stay.
    fn wait_until_unused(&mut self, database: &str) -> Result<()> {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
        for _ in 0..200 {
            let sessions: i64 = self.admin.query_one(sql, &[&database])?.get(0);
            if sessions == 0 {
                return Ok(());
            }
            self.admin.execute("SELECT pg_sleep(0.01)", &[])?;
        }
        let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
        self.admin
            .execute(sql, &[&database])
            .map_err(Failure::from)?;
        Ok(())
    }
}
