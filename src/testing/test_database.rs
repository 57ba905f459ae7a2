//! A database for one test.

use crate::observe::fields::told;
use crate::surface::messaging::Messaging;
use crate::testing::child::refuse_in_child;
use crate::testing::server::Server;
use crate::words::Result;
use crate::words::error::chain;
use std::error::Error as StdError;
use std::fmt;

/// A database of a test's own, with the schema in it, and [`Messaging`] over it. It is a copy of a
/// template, so it takes some tens of milliseconds; dropping it drops the database.
///
/// All tests of a process share one [server](Server::shared), which starts with the first.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::testing::{AssertSent, TestDatabase};
///
/// let database = TestDatabase::new()?;
/// database.messaging().session(|session| Ok(session.send_message("greetings", "hello")?))?;
/// database.messaging().assert_sent("greetings", |text: &String| text == "hello");
/// # Ok(()) }
/// ```
pub struct TestDatabase {
    server: &'static Server,
    url: String,
    /// `None` once it is dropped: connections go before the database.
    messaging: Option<Messaging>,
}

impl TestDatabase {
    /// Makes a database on the shared server. Blocks for some tens of milliseconds; the first of a
    /// process for about a second, while the server starts and the template is made.
    ///
    /// # Errors
    /// Those of [`Server::shared`] and [`Server::database`].
    pub fn new() -> Result<Self> {
        refuse_in_child()?;
        let server = Server::shared()?;
        TestDatabase::over(server, server.database()?)
    }

    /// Makes a database that also has tables of your own. `set_up` is given the URL of an empty
    /// database with outtray's schema, once for each `template` and server; the databases of all
    /// tests that name it are copies. A template's name says what is in it: where your migrations
    /// change, give it another, such as a number or a hash in it. On the server of `$DATABASE_URL`
    /// templates stay for the next run.
    ///
    /// Leave no connection to the template open: PostgreSQL copies none that has some.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::testing::TestDatabase;
    /// use postgres::{Client, NoTls};
    ///
    /// let database = TestDatabase::from_template("shop 1", |url| {
    ///     let mut client = Client::connect(url, NoTls)?;
    ///     client.batch_execute("CREATE TABLE account (id integer PRIMARY KEY, balance integer)")?;
    ///     Ok(())
    /// })?;
    /// database.messaging().session(|session| {
    ///     Ok(session.execute("INSERT INTO account VALUES (7, 100)", &[])?)
    /// })?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The same as [`new`](Self::new). `Server`, with the error of `set_up` as its cause.
    pub fn from_template(
        template: &str,
        set_up: impl FnOnce(&str) -> Result<(), Box<dyn StdError + Send + Sync>>,
    ) -> Result<Self> {
        refuse_in_child()?;
        let server = Server::shared()?;
        TestDatabase::over(server, server.database_from(template, set_up)?)
    }

    fn over(server: &'static Server, url: String) -> Result<Self> {
        let messaging = Messaging::connect(&url)?;
        Ok(TestDatabase {
            server,
            url,
            messaging: Some(messaging),
        })
    }

    /// Returns the database's URL, for clients of your own, a [`Proxy`](crate::testing::Proxy) or a
    /// [`ChildProcess`](crate::testing::ChildProcess).
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the message system in this database, with all defaults. For other options, connect
    /// to the [URL](Self::url).
    pub fn messaging(&self) -> &Messaging {
        self.messaging.as_ref().expect("it is there until the drop")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.messaging = None;
        if let Err(error) = self.server.drop_database(&self.url) {
            let why = chain(&error);
            tracing::warn!(error = told(&why), "{why}");
        }
    }
}

impl fmt::Debug for TestDatabase {
    /// Leaves out the URL, which holds a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDatabase").finish_non_exhaustive()
    }
}
