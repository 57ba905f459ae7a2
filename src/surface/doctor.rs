//! Examining the server, the schema, and what is stuck in topics.

use crate::connect::dial::refuse_async_task;
use crate::connect::pooler;
use crate::connect::settings::ConnectionSettings;
use crate::doctor::examination::examine;
use crate::doctor::facts::Wishes;
use crate::doctor::finding::Diagnosis;
use crate::schema::name::SchemaName;
use crate::surface::builder::Builder;
use crate::surface::messaging::Messaging;
use crate::words::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

/// An examination with options, made by [`Builder::doctor`].
///
/// ```no_run
/// # fn main() -> outtray::Result<()> {
/// use outtray::{Messaging, Severity};
///
/// let doctor = Messaging::builder().url("postgresql://localhost/app").doctor();
/// for finding in doctor.examine()?.findings {
///     if finding.severity > Severity::Note {
///         println!("{}: {}; {}", finding.check, finding.seen, finding.means);
///         for remedy in &finding.remedies {
///             println!("  {remedy}");
///         }
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is examined until examine() is called"]
pub struct Doctor {
    url: Option<String>,
    schema: String,
    is_pooler_safe: Option<bool>,
    silence: Duration,
    wishes: Wishes,
}

impl Doctor {
    /// Sets how long something may last before it is worth a warning: a transaction that is open, a
    /// message that is ready, a cancellation that nobody heeds. Default 10 minutes.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.wishes.patience = patience;
        self
    }

    /// Names a table that handlers write, as it is named in SQL, with its schema: `public.ledger`.
    /// Only a distributed PostgreSQL makes a difference between tables; there, none named stands
    /// for all.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.wishes.tables.push(name.into());
        self
    }

    /// Examines the server and the schema. Unlike [`connect`](crate::Builder::connect), it also
    /// does so on a standby, and for a schema that is missing, older or newer.
    ///
    /// Changes nothing. Blocks for a connection of its own, some 15 s at most, and up to 8 s for
    /// each check if the server does not answer: a check that fails or takes longer than 5 s is a
    /// finding of its own. On a server that is well it takes some 100 ms. A role with few
    /// privileges sees less, and is told so.
    ///
    /// # Errors
    /// `Configuration`, `Invalid`, `Unavailable`, `Denied`: nothing could be asked.
    pub fn examine(&self) -> Result<Diagnosis> {
        refuse_async_task()?;
        let url = self.url.as_deref().unwrap_or_default();
        if url.is_empty() {
            return Err(Error::invalid("no database URL was given, say .url(…)"));
        }
        let schema = SchemaName::parse(&self.schema)?;
        let settings = |is_pooler_safe| {
            ConnectionSettings::new(url, schema.clone(), is_pooler_safe, self.silence)
        };
        let opened = pooler::open(settings, self.is_pooler_safe);
        let settings = match opened.map(|(settings, _)| settings) {
            Ok(settings) => settings,
            // It may be a server that takes no writes, which is worth a look.
            Err(error) if may_be_there(&error) => {
                let settings = settings(self.is_pooler_safe.unwrap_or(false))?;
                settings.dial.trust();
                return examine(&settings, &self.wishes).map_err(|_| error);
            }
            Err(error) => return Err(error),
        };
        examine(&settings, &self.wishes)
    }
}

fn may_be_there(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Configuration
    )
}

impl Builder {
    /// Returns an examination of what this would connect to, with options; see
    /// [`Doctor::examine`]. It uses the URL, the schema and what was said of poolers.
    pub fn doctor(self) -> Doctor {
        Doctor {
            url: self.url,
            schema: self.schema,
            is_pooler_safe: self.is_pooler_safe,
            silence: self.silence,
            wishes: Wishes::default(),
        }
    }
}

impl Messaging {
    /// Examines the server and the schema: settings that endanger the promises or the speed, what
    /// this role may do, what holds dead rows back, and what is stuck in topics. Each finding says
    /// what was seen, what it means, and what to do. The same as `outtray doctor`.
    ///
    /// Blocks as [`Doctor::examine`] does, on a connection of its own. Options, and an examination
    /// where nothing can connect, have [`Builder::doctor`].
    ///
    /// # Errors
    /// `Unavailable`, `Denied`: nothing could be asked.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{Messaging, Remedy, Severity, testing::Server};
    ///
    /// # let server = Server::start()?;
    /// let messaging = Messaging::connect(&server.empty_database()?)?;
    ///
    /// let diagnosis = messaging.doctor()?;
    ///
    /// let schema = &diagnosis.of("schema")[0];
    /// assert_eq!(schema.severity, Severity::Unsafe);
    /// assert_eq!(schema.remedies, [Remedy::Command("outtray migrate".to_owned())]);
    /// # Ok(()) }
    /// ```
    pub fn doctor(&self) -> Result<Diagnosis> {
        refuse_async_task()?;
        let dedicated = Arc::clone(&self.base().dedicated);
        examine(dedicated.settings(), &Wishes::default())
    }
}
