//! The server that tests run on: an embedded one, or the one that `$DATABASE_URL` names.

use crate::testing::databases::Databases;
use crate::testing::embedded::Embedded;
use crate::words::{Error, ErrorKind, Result};
use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A PostgreSQL server for tests, and the databases they make in it.
///
/// All threads may share it. Dropping it stops an embedded server and removes its folder; on a
/// server named by `$DATABASE_URL` it drops the databases that it made. An embedded server also
/// ends with its process, in whatever way that ends, so it may live in a `static`:
///
/// ```no_run
/// use outtray::testing::Server;
/// use std::sync::OnceLock;
///
/// fn server() -> &'static Server {
///     static SERVER: OnceLock<Server> = OnceLock::new();
///     SERVER.get_or_init(|| Server::start().expect("PostgreSQL is installed"))
/// }
/// ```
pub struct Server {
    // Dropped in this order: connections go before the server.
    databases: Databases,
    embedded: Option<Embedded>,
}

impl Server {
    pub(crate) fn of_our_own(embedded: Embedded) -> Server {
        Server {
            databases: Databases::on_our_own(embedded.url()),
            embedded: Some(embedded),
        }
    }

    pub(crate) fn of_somebody_else(url: String) -> Result<Server> {
        Ok(Server {
            databases: Databases::on_shared(url)?,
            embedded: None,
        })
    }

    /// Returns the URL of the database for administration: `postgres` on an embedded server, or
    /// `$DATABASE_URL` unchanged. Tests use [`database`](Server::database).
    pub fn url(&self) -> &str {
        self.databases.url()
    }

    /// Creates a database with the schema in it and returns its URL. Blocks for some 50 ms, and
    /// longer the first time, when it makes the template that all others are copied from.
    ///
    /// # Errors
    /// `Server` when the server does not answer; `Denied` when the role of `$DATABASE_URL` may not
    /// create databases; otherwise the same as [`migrate`](crate::Messaging::migrate).
    pub fn database(&self) -> Result<String> {
        self.databases.make()
    }

    /// Returns the server that all tests of this process share: it [starts](Self::start) with the
    /// first call, and ends with the process. Tests of several processes share one where
    /// `$DATABASE_URL` names it, as under `outtray dev -- cargo test`.
    ///
    /// # Errors
    /// The same as [`start`](Self::start), at each call until one succeeds.
    pub fn shared() -> Result<&'static Server> {
        static SHARED: Mutex<Option<&'static Server>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = *shared {
            return Ok(server);
        }
        // Never freed: it lives as long as the process.
        let server: &'static Server = Box::leak(Box::new(Server::start()?));
        *shared = Some(server);
        Ok(server)
    }

    /// Creates a database as a copy of a template of your own, which `set_up` makes when it is
    /// first named, as [`TestDatabase`](crate::testing::TestDatabase) does.
    ///
    /// # Errors
    /// The same as [`database`](Server::database), and `Server` with the error of `set_up`.
    pub fn database_from(
        &self,
        template: &str,
        set_up: impl FnOnce(&str) -> Result<(), Box<dyn StdError + Send + Sync>>,
    ) -> Result<String> {
        self.databases.make_from(template, set_up)
    }

    /// Drops a database that was made here, whoever is connected to it. Blocks for some
    /// milliseconds.
    ///
    /// # Errors
    /// `Invalid` for a URL that is not of such a database; `Server` when the server does not
    /// answer.
    pub fn drop_database(&self, url: &str) -> Result<()> {
        self.databases.drop_one(url)
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Errors
    /// The same as [`database`](Server::database).
    pub fn empty_database(&self) -> Result<String> {
        self.databases.make_empty()
    }

    /// Kills an embedded server as a crash would and starts it again, on the same port. All
    /// connections break; what was committed is kept. Blocks until the server answers.
    ///
    /// # Errors
    /// `Server` when the server does not come back, or is not an embedded one.
    pub fn restart_immediately(&self) -> Result<()> {
        match &self.embedded {
            Some(embedded) => embedded.restart_immediately(),
            None => Err(Error::new(
                ErrorKind::Server,
                "the server of DATABASE_URL is not ours to restart, use always_embedded()",
            )),
        }
    }

    /// Stops an embedded server and removes its folder, or drops the databases made on another
    /// server, like dropping the `Server`, and reports errors. Open sessions are ended. Blocks
    /// until it is done, at most 15 s.
    ///
    /// # Errors
    /// `Server` when the folder could not be removed; errors of the database when databases could
    /// not be dropped.
    pub fn stop(self) -> Result<()> {
        let Server {
            mut databases,
            embedded,
        } = self;
        databases.remove()?;
        embedded.map_or(Ok(()), |mut embedded| embedded.stop())
    }

    /// Returns the data folder of an embedded server, or `None` for another one.
    pub fn data_dir(&self) -> Option<&Path> {
        self.embedded.as_ref().map(Embedded::data_dir)
    }

    /// Returns the folder of an embedded server's binaries, or `None` for another server.
    pub fn bin_dir(&self) -> Option<&Path> {
        self.embedded.as_ref().map(Embedded::bin_dir)
    }
}

impl fmt::Debug for Server {
    /// Leaves out the URL of another server, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("embedded", &self.embedded)
            .finish_non_exhaustive()
    }
}
