//! Removing all of it.

use crate::processes::running::UNSEEN_S;
use crate::schema::dropping;
use crate::surface::messaging::Messaging;
use crate::words::{Error, Result};

impl Messaging {
    /// Drops the schema for good, with all messages, dead letters and settings in it. Returns false
    /// if there is none.
    ///
    /// For safety, `schema` must be the name of the schema that this is connected to: `outtray`
    /// unless [another](crate::Builder::schema) was chosen. Only objects that outtray created are
    /// dropped; if the schema holds anything else, or a view depends on its tables, nothing is
    /// dropped. Afterwards [`migrate`](Self::migrate) creates the schema anew.
    ///
    /// Waits for transactions that use the tables, 2 s at a time and up to 20 times, as a migration
    /// does. Later sends fail with [`SchemaMissing`](crate::ErrorKind::SchemaMissing).
    ///
    /// # Errors
    /// `Invalid` for another name; `InUse` while a receiver runs in any process (processes that
    /// died do not count); `Database` when the schema holds something else; `SchemaNewer`; `Denied`
    /// for a role that does not own it; `Unavailable`, `PoolExhausted`. After an error nothing was
    /// changed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{ErrorKind, Messaging, testing::Server};
    ///
    /// # let server = Server::start()?;
    /// let messaging = Messaging::connect(&server.database()?)?;
    /// messaging.migrate()?;
    /// let refused = messaging.drop_schema("something").unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Invalid);
    /// assert!(messaging.drop_schema("outtray")?);
    /// # Ok(()) }
    /// ```
    pub fn drop_schema(&self, schema: &str) -> Result<bool> {
        self.with_connection(|connection, base| {
            let mine = &base.dedicated.settings().schema;
            if schema != mine.as_str() {
                return Err(Error::invalid(format!(
                    "the schema is \"{}\", not \"{}\": name it to drop it",
                    mine.as_str(),
                    schema.escape_debug()
                )));
            }
            let dropped = dropping::drop_schema(connection.client(), mine, UNSEEN_S)?;
            base.process.configs.outdate();
            Ok(dropped)
        })
    }
}
