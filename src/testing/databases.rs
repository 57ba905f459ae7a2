//! Test databases: each is a copy of a template that has the schema.
//!
//! The template is made once for each version of the schema. A finished template allows no
//! connections: this tells other processes that it is finished, and PostgreSQL cannot copy a
//! template that has connections.
//!
//! On an embedded server, databases go with the server. On another server they are dropped with the
//! `Server`. If a process died before that, the next one to start finds and drops its databases:
//! each process holds an advisory lock under its own name while it lives, so a name whose lock is
//! free belongs to a dead process.

use crate::connect::connection::Connection;
use crate::connect::conninfo::with_database;
use crate::connect::settings::{ConnectionSettings, SILENCE};
use crate::observe::fields::told;
use crate::schema::name::SchemaName;
use crate::words::error::chain;
use crate::words::{Error, ErrorKind, Result, classify};
use postgres::{Client, Config};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

const PREFIX: &str = "outtray_test_";
/// The prefix on a server of our own. Its databases go with it, so no process drops them as
/// abandoned.
const OWN_PREFIX: &str = "outtray_own_";
const TEMPLATE_PREFIX: &str = "outtray_template_";
const MAKING: &str = "making a test database";
/// How soon the kept connection answers, or is replaced.
const CLERK_ANSWERS: Duration = Duration::from_secs(5);

/// The databases that one `Server` makes.
pub(crate) struct Databases {
    /// The URL to create databases from; its own database is never changed.
    url: String,
    /// The prefix of all their names.
    prefix: String,
    next: AtomicU32,
    /// Templates that exist: by what they hold beside the schema, their names. Locked while one is
    /// made, and while databases are made and dropped.
    templates: Mutex<HashMap<String, String>>,
    /// What databases are made and dropped with.
    clerk: Mutex<Option<Connection>>,
    /// The connection that holds the lock on `prefix`, on a server that is not ours.
    life: Option<Mutex<Connection>>,
}

impl Databases {
    /// Makes databases on a server that ends with its `Server`.
    pub(crate) fn on_our_own(url: String) -> Self {
        Databases::with_prefix(url, OWN_PREFIX)
    }

    fn with_prefix(url: String, prefix: &str) -> Self {
        Databases {
            url,
            prefix: format!("{prefix}{}_", Uuid::now_v7().simple()),
            next: AtomicU32::new(0),
            templates: Mutex::default(),
            clerk: Mutex::default(),
            life: None,
        }
    }

    /// Makes databases on a server that stays. Drops the databases that dead processes left there.
    pub(crate) fn on_shared(url: String) -> Result<Self> {
        let mut databases = Databases::with_prefix(url, PREFIX);
        let mut client = databases.dial()?;
        let failed = |error| classify(error, "preparing for test databases");
        client
            .client()
            .execute(
                "SELECT pg_advisory_lock(hashtextextended($1::text, 0))",
                &[&databases.prefix],
            )
            .and_then(|_| drop_abandoned(client.client()))
            .map_err(failed)?;
        databases.life = Some(Mutex::new(client));
        Ok(databases)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Makes a database with the schema and returns its URL.
    pub(crate) fn make(&self) -> Result<String> {
        self.make_from("", |_| Ok(()))
    }

    /// Makes a database with the schema and what `set_up` adds to its template.
    pub(crate) fn make_from(
        &self,
        holds: &str,
        set_up: impl FnOnce(&str) -> Result<(), Box<dyn StdError + Send + Sync>>,
    ) -> Result<String> {
        let mut templates = locked(&self.templates);
        self.with_clerk(|client| {
            let name = match templates.get(holds) {
                Some(name) => name.clone(),
                None => self.ensure_template(client, holds, set_up)?,
            };
            let made = self.create(client, &name)?;
            templates.insert(holds.to_owned(), name);
            Ok(made)
        })
    }

    /// Makes an empty database and returns its URL.
    pub(crate) fn make_empty(&self) -> Result<String> {
        self.with_clerk(|client| self.create(client, "template0"))
    }

    /// Runs `work` on the connection of the clerk; another one, if the last broke, or the server
    /// restarted meanwhile.
    fn with_clerk<R>(&self, work: impl FnOnce(&mut Client) -> Result<R>) -> Result<R> {
        let mut clerk = locked(&self.clerk);
        let kept = clerk.take().and_then(|mut kept| {
            let answers = kept.client().is_valid(CLERK_ANSWERS).is_ok();
            answers.then_some(kept)
        });
        let mut connection = match kept {
            Some(kept) => kept,
            None => self.dial()?,
        };
        let worked = work(connection.client());
        *clerk = Some(connection);
        worked
    }

    fn create(&self, client: &mut Client, template: &str) -> Result<String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number}", self.prefix);
        let strategy = self.strategy(client)?;
        client
            .batch_execute(&format!(
                "CREATE DATABASE {name} TEMPLATE {template}{strategy}"
            ))
            .map_err(|error| classify(error, MAKING))?;
        with_database(&self.url, &name)
    }

    /// Returns how the server is to copy. To copy whole files took 39 ms where to log their pages
    /// took 58, at the price of a checkpoint, which a server with other users should be spared.
    /// Servers before PostgreSQL 15 know no other way.
    fn strategy(&self, client: &mut Client) -> Result<&'static str> {
        if self.life.is_some() {
            return Ok("");
        }
        let version = "SELECT current_setting('server_version_num')::int4";
        let version: i32 = client
            .query_one(version, &[])
            .and_then(|row| row.try_get(0))
            .map_err(|error| classify(error, MAKING))?;
        Ok(match version {
            ..150_000 => "",
            _ => " STRATEGY file_copy",
        })
    }

    /// Drops a database that was made here.
    pub(crate) fn drop_one(&self, url: &str) -> Result<()> {
        let config: Config = url
            .parse()
            .map_err(|_| Error::invalid("this is no URL of a test database"))?;
        let name = config.get_dbname().unwrap_or_default();
        let number = name.strip_prefix(&self.prefix);
        if !number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(Error::invalid(format!(
                "database {name} was not made by this server"
            )));
        }
        self.with_clerk(|client| {
            client
                .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                .map_err(|error| classify(error, "dropping a test database"))
        })
    }

    /// Makes the template unless it exists, one process at a time, and returns its name.
    fn ensure_template(
        &self,
        client: &mut Client,
        holds: &str,
        set_up: impl FnOnce(&str) -> Result<(), Box<dyn StdError + Send + Sync>>,
    ) -> Result<String> {
        let failed = |error| classify(error, "making the template of test databases");
        let text = schema_text()? + holds;
        let name: String = client
            .query_one(
                "SELECT $1::text || md5($2::text) \
                 FROM pg_advisory_lock(hashtextextended($1::text, 0))",
                &[&TEMPLATE_PREFIX, &text],
            )
            .and_then(|row| row.try_get(0))
            .map_err(failed)?;
        let made = self.make_template(client, &name, set_up);
        client
            .execute(
                "SELECT pg_advisory_unlock(hashtextextended($1::text, 0))",
                &[&TEMPLATE_PREFIX],
            )
            .map_err(failed)?;
        made.map(|()| name)
    }

    /// Makes a template unless it is finished.
    fn make_template(
        &self,
        client: &mut Client,
        name: &str,
        set_up: impl FnOnce(&str) -> Result<(), Box<dyn StdError + Send + Sync>>,
    ) -> Result<()> {
        let failed = |error| classify(error, "making the template of test databases");
        let is_finished: Option<bool> = client
            .query_opt(
                "SELECT NOT datallowconn FROM pg_database WHERE datname = $1::text",
                &[&name],
            )
            .and_then(|row| row.map(|row| row.try_get(0)).transpose())
            .map_err(failed)?;
        if is_finished == Some(true) {
            return Ok(());
        }
        // A template that exists and is not finished was left by a process that died.
        client
            .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .and_then(|()| {
                client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            })
            .map_err(failed)?;
        let url = with_database(&self.url, name)?;
        prepare_template(&url)?;
        set_up(&url).map_err(|error| {
            let text = "the template of test databases could not be set up";
            Error::new(ErrorKind::Server, text).because(error)
        })?;
        client
            .batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
            .map_err(failed)
    }

    /// Drops the databases on a server that stays; a second call does nothing.
    pub(crate) fn remove(&mut self) -> Result<()> {
        if self.life.is_none() {
            return Ok(());
        }
        // A new connection, because the one that holds the lock may have been cut.
        let mut connection = self.dial()?;
        let client = connection.client();
        names(client, &self.prefix)
            .and_then(|names| {
                names.iter().try_for_each(|name| {
                    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                })
            })
            .map_err(|error| classify(error, "dropping the test databases"))?;
        self.life = None;
        Ok(())
    }

    /// Connects by the rules of [`Messaging::connect`](crate::Messaging::connect), so that no
    /// password travels in plain text to another machine.
    fn dial(&self) -> Result<Connection> {
        let schema = SchemaName::parse("outtray")?;
        let dialed = ConnectionSettings::new(&self.url, schema, false, SILENCE)
            .and_then(|settings| Connection::open(&settings));
        dialed.map_err(|error| {
            let text = "cannot connect to the PostgreSQL for tests, is DATABASE_URL right?";
            Error::new(ErrorKind::Server, text).because(error)
        })
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            let why = chain(&error);
            tracing::warn!(error = told(&why), "{why}");
        }
    }
}

/// Makes the schema in an empty database. Leaves no connection open.
fn prepare_template(url: &str) -> Result<()> {
    crate::Messaging::connect(url)?.migrate()?;
    Ok(())
}

/// Returns a text that differs between versions of the schema.
fn schema_text() -> Result<String> {
    let schema = SchemaName::parse("outtray")?;
    Ok(crate::schema::migrate::script(&schema))
}

/// Drops the test databases of processes that are gone.
fn drop_abandoned(client: &mut Client) -> Result<(), postgres::Error> {
    for name in names(client, PREFIX)? {
        let Some((owner, _)) = name.rsplit_once('_') else {
            continue;
        };
        let owner = format!("{owner}_");
        let is_dead: bool = client
            .query_one(
                "SELECT pg_try_advisory_lock(hashtextextended($1::text, 0))",
                &[&owner],
            )?
            .try_get(0)?;
        if !is_dead {
            continue;
        }
        // Without FORCE, a database with connections stays: its process may have lost only the
        // connection that held the lock. Another process may also have dropped it already.
        if let Err(error) = client.batch_execute(&format!("DROP DATABASE {name}")) {
            tracing::debug!(error = told(&error), "test database {name} stays: {error}");
        }
        client.execute(
            "SELECT pg_advisory_unlock(hashtextextended($1::text, 0))",
            &[&owner],
        )?;
    }
    Ok(())
}

/// Returns our databases whose names begin with `prefix`, and no others with that prefix.
fn names(client: &mut Client, prefix: &str) -> Result<Vec<String>, postgres::Error> {
    let rows = client.query(
        "SELECT datname::text FROM pg_database \
         WHERE starts_with(datname, $1::text) AND datname ~ '^outtray_test_[0-9a-f]{32}_[0-9]+$'",
        &[&prefix],
    )?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_travels_in_plain_text_to_another_machine() {
        // An address of a network reserved for documentation, which leads nowhere.
        let dialed =
            Databases::on_shared("postgresql://me:secret@192.0.2.1/x?sslmode=prefer".to_owned());

        let error = dialed.err().expect("it is refused");
        let text = crate::words::error::chain(&error);
        assert!(text.contains("sslmode"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}
