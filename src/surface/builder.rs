//! Options of a connection to the message system, one method each.

use crate::changes::operator::Operator;
use crate::connect::dedicated::Dedicated;
use crate::connect::dial::refuse_async_task;
use crate::connect::lender::Lender;
use crate::connect::pool::Pool;
use crate::connect::pooler;
use crate::connect::settings::{ConnectionSettings, SILENCE};
use crate::observe::observers::Observers;
use crate::observe::tallies::Tallies;
use crate::receive::shared_state::Base;
use crate::schema::migrate;
use crate::schema::name::SchemaName;
use crate::session::process::Process;
use crate::session::send_hooks::SendHooks;
use crate::surface::core::Core;
use crate::surface::hooks::Hooks;
use crate::surface::lent_pool::check_lent;
use crate::surface::messaging::Messaging;
use crate::threads::{Service, Stop};
use crate::wake::notifier::Notifier;
use crate::wake::waker::Waker;
use crate::wake::watch::watch;
use crate::words::{Error, ErrorKind, Result};
use postgres::Socket;
use postgres::tls::{MakeTlsConnect, TlsConnect};
use r2d2_postgres::PostgresConnectionManager;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How many connections sessions may use at a time, unless somebody says otherwise.
const POOL_SIZE: u32 = 16;

/// Longest poll interval, a year: a deadline past the end of time overflows.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(365 * 86_400);

/// Shortest time within which silence is noticed: a busy machine is silent for shorter ones.
const MIN_SILENCE: Duration = Duration::from_secs(1);

/// The options of a connection to the message system; [`connect`](Self::connect) opens it.
#[derive(Clone)]
#[must_use = "nothing happens before connect"]
pub struct Builder {
    pub(super) url: Option<String>,
    pub(super) schema: String,
    /// `None` where nobody said so.
    pool_size: Option<u32>,
    /// A pool of the caller's.
    lender: Option<Arc<dyn Lender>>,
    checkout_timeout: Duration,
    poll_interval: Duration,
    max_payload_bytes: usize,
    /// `None` where nobody said so.
    pub(super) is_pooler_safe: Option<bool>,
    is_notifying: bool,
    is_correlating: bool,
    pub(super) silence: Duration,
    pub(super) keeps_tallies: bool,
    pub(super) hooks: Hooks,
    operator: Option<Operator>,
}

// A pool that is lent is only handed on here.
impl UnwindSafe for Builder {}
impl RefUnwindSafe for Builder {}

impl fmt::Debug for Builder {
    /// Leaves the URL out: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("schema", &self.schema)
            .field("pool_size", &self.pool_size)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            url: None,
            schema: "outtray".to_owned(),
            pool_size: None,
            lender: None,
            checkout_timeout: Duration::from_secs(10),
            poll_interval: Duration::from_secs(2),
            max_payload_bytes: 1 << 20,
            is_pooler_safe: None,
            is_notifying: true,
            is_correlating: true,
            silence: SILENCE,
            keeps_tallies: true,
            hooks: Hooks::default(),
            operator: None,
        }
    }
}

impl Messaging {
    /// Connects with all defaults; see [`Builder::connect`].
    ///
    /// # Errors
    /// The same as [`Builder::connect`].
    pub fn connect(url: &str) -> Result<Self> {
        Messaging::builder().url(url).connect()
    }

    /// Returns a builder for a connection with options.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// Sets the database: a URL (`postgresql://user:password@host:port/database?sslmode=…`), or
    /// `key=value` words. Required. Environment variables such as PGHOST and the file `.pgpass` are
    /// not read.
    ///
    /// Both forms are read as libpq 18 reads them: percent signs in a URL (`%40` for `@`, also in a
    /// password, a database name, and a folder of socket files as the host), quotes and backslashes
    /// in words, several hosts, addresses and ports. The keywords:
    ///
    /// | keyword | |
    /// |---|---|
    /// | `host`, `hostaddr`, `port`, `user`, `password`, `dbname`, `options`, `application_name`, `fallback_application_name` | as in libpq, but at least one host or address has to be named; the name of the application is `outtray` by default |
    /// | `sslmode` | `disable`, or one of `require`, `verify-ca` and `verify-full`, which all check the certificate and the host's name; `allow` and `prefer` are refused. Without it this machine is reached in plain text unless something else here asks for TLS, any other with `verify-full`. Through a socket file there is no TLS |
    /// | `sslrootcert` | a file (PEM) of the authorities to trust instead of the platform's; `system` for those |
    /// | `sslcert` and `sslkey`, `sslcertmode` | what to show a server that asks for a certificate (PEM; with `native-tls` the key as PKCS#8) |
    /// | `sslnegotiation`, `sslsni`, `ssl_min_protocol_version`, `ssl_max_protocol_version`, `channel_binding` | as in libpq; TLS 1.2 is the oldest |
    /// | `connect_timeout` (s, default 5), `tcp_user_timeout` (ms, 30,000), `keepalives`, `keepalives_idle` (s, 10), `keepalives_interval` (s, 5), `keepalives_count` (3) | as in libpq, but zero and less stand for these defaults |
    /// | `target_session_attrs` | servers that take no writes are passed over; `read-write` passes over those that only read by default, too; `read-only` takes standbys, to look at them |
    /// | `load_balance_hosts` | as in libpq |
    /// | `gssencmode`, `client_encoding`, `replication`, `min_protocol_version`, `max_protocol_version` | only values by which nothing changes |
    /// | `krbsrvname`, `gsslib`, `gssdelegation`, `sslcompression` | no effect: neither Kerberos nor compression is used |
    /// | `service`, `servicefile`, `passfile`, `require_auth`, `requirepeer`, `sslpassword`, `sslcrl`, `sslcrldir`, `sslkeylogfile`, `scram_client_key`, `scram_server_key`, `oauth_…` | refused, as is every other |
    ///
    /// TLS needs the feature `rustls` or `native-tls`. Errors show no more of the string than
    /// keywords, hosts, files and the database.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets the schema of the tables. Default `outtray`; ASCII letters, digits and `_`, at most 63,
    /// not beginning with a digit or `pg_`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets how many connections sessions may use at the same time. Default 16; 1 to 10,000. They
    /// are opened when needed. Receivers have their own connections: one for each busy worker, and
    /// two for the process.
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.pool_size = Some(connections);
        self
    }

    /// Lends a pool of your own, of the same database as the [`url`](Self::url). Sessions, single
    /// sends, messages taken by hand and all of [`Topic`](crate::Topic) then take their connections
    /// from it, and outtray opens none for them. Default: a pool of outtray's own. The types are
    /// those of [`r2d2_postgres`](crate::r2d2_postgres), which outtray re-exports, and of the
    /// `r2d2` in it.
    ///
    /// Receivers, drains and the threads that serve them keep their own connections, opened by the
    /// URL, one for each busy worker. So workers and the pool's other users never wait for each
    /// other.
    ///
    /// A connection of the pool is used as it is, as behind a pooler in transaction mode: nothing
    /// is prepared or set on it, and whatever SQL of a session sets on it stays. So statements are
    /// planned each time, and the pool has to set what outtray sets on its own new connections:
    /// `lock_timeout`, `idle_in_transaction_session_timeout`, keepalives. The pool's connections
    /// are not watched for [silence](Self::notice_silence). The
    /// [`checkout_timeout`](Self::checkout_timeout) replaces the pool's own;
    /// [`pool_size`](Self::pool_size) cannot be combined with a pool.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::Messaging;
    /// use postgres::NoTls;
    /// use r2d2_postgres::PostgresConnectionManager;
    ///
    /// let url = "postgresql://localhost/app";
    /// let pool = r2d2::Pool::new(PostgresConnectionManager::new(url.parse()?, NoTls))?;
    /// let messaging = Messaging::builder().url(url).pool(pool.clone()).connect()?;
    /// messaging.session(|session| Ok(session.send_message("orders", &42)?))?;
    /// # Ok(()) }
    /// ```
    pub fn pool<T>(mut self, pool: r2d2::Pool<PostgresConnectionManager<T>>) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::TlsConnect: Send,
        T::Stream: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.lender = Some(Arc::new(pool));
        self
    }

    /// Sets how long a session waits for a connection of the pool, also while the database cannot
    /// be reached. Default 10 s; not zero.
    pub fn checkout_timeout(mut self, timeout: Duration) -> Self {
        self.checkout_timeout = timeout;
        self
    }

    /// Sets how often a process with receivers polls for messages that it missed. Default 2 s; at
    /// least 10 ms. This bounds how late a message is when notifications fail, unless the poll
    /// itself has become slow: then polls take about 1 % of the time. A process that sees messages
    /// in the hands of others polls twice a second, since those may die.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Sets the largest payload in bytes, as stored. Default 1 MiB; at most 256 MiB.
    pub fn max_payload_bytes(mut self, bytes: usize) -> Self {
        self.max_payload_bytes = bytes;
        self
    }

    /// Uses nothing that a transaction pooler breaks: no named statements, no session settings, no
    /// session locks, no LISTEN. By default `connect` detects such a pooler. `false` skips the
    /// check, and the two extra connections that it opens where something is between, or for a
    /// socket file.
    ///
    /// Behind such a pooler, messages of other processes are found by polling. A process that died
    /// is noticed after half a minute; its messages are free as soon as the pooler has closed its
    /// transactions. Reading columns of types of your own may now and then fail with `Conflict`,
    /// after which receivers run again; casts avoid that.
    pub fn pooler_safe(mut self, is_pooler_safe: bool) -> Self {
        self.is_pooler_safe = Some(is_pooler_safe);
        self
    }

    /// Turns notifications on or off, both those to other processes and those from them. Default
    /// on. When they are off, messages of other processes are found by polling.
    pub fn notify(mut self, is_notifying: bool) -> Self {
        self.is_notifying = is_notifying;
        self
    }

    /// Sets whether what a handler sends through its session carries on from the handler's message:
    /// by the headers [`causation-id`](crate::envelope::CAUSATION_ID),
    /// [`correlation-id`](crate::envelope::CORRELATION_ID) and, where the message has them,
    /// [`traceparent`](crate::envelope::TRACEPARENT) and
    /// [`tracestate`](crate::envelope::TRACESTATE). Default on. Headers that a message has already
    /// stay as they are; a [null header](crate::NewMessage::null_header) leaves one out. They take
    /// some 110 bytes of each message, 180 with a trace.
    pub fn correlation(mut self, is_correlating: bool) -> Self {
        self.is_correlating = is_correlating;
        self
    }

    /// Makes changes that operators make, such as pausing a topic or redriving dead letters, in the
    /// name of this one, and notes them in the [list of changes](Messaging::changes). Default: in
    /// nobody's name, and not noted. [`Messaging::as_operator`] names one later, or another.
    pub fn operator(mut self, operator: Operator) -> Self {
        self.operator = Some(operator);
        self
    }

    /// Sets how soon a server or a network that has become silent is noticed. Default 15 s; at
    /// least 1 s. Calls that wait for it then end with `Unavailable`, or `OutcomeUnknown` in a
    /// COMMIT, and everything starts again on new connections. A statement that takes long is not
    /// cut as long as the server, asked on another connection, says that it is at work on it.
    /// Connections through a socket file are not watched.
    pub fn notice_silence(mut self, within: Duration) -> Self {
        self.silence = within;
        self
    }

    /// Connects once to check that the database answers, and makes the pool, which opens no
    /// connection yet. Creates nothing in the database. Blocks for at most 15 s: 5 s for TCP (or
    /// the URL's `connect_timeout`), and twice that for the handshake.
    ///
    /// # Errors
    /// `Configuration`, `Invalid`, `Unavailable`, `Denied`, and `SchemaNewer` when the schema is of
    /// a later release. A missing schema is not an error: [`Messaging::migrate`] creates it.
    pub fn connect(self) -> Result<Messaging> {
        refuse_async_task()?;
        let url = self.url.as_deref().unwrap_or_default();
        if url.is_empty() {
            return Err(Error::invalid("no database URL was given, say .url(…)"));
        }
        self.check()?;
        let schema = SchemaName::parse(&self.schema)?;
        let silence = self.silence.min(MAX_POLL_INTERVAL);
        let settings =
            |is_pooler_safe| ConnectionSettings::new(url, schema.clone(), is_pooler_safe, silence);
        let (settings, mut connection) = pooler::open(settings, self.is_pooler_safe)?;
        let dedicated = Arc::new(Dedicated::new(Arc::clone(&settings)));
        let pool = self.pool_over(&dedicated)?;
        refuse_newer(migrate::version(connection.client(), &schema))?;

        if self.lender.is_some() {
            check_lent(&pool, &mut connection)?;
        }
        let me = Uuid::now_v7();
        dedicated.give_back(connection);
        let notifier = self
            .is_notifying
            .then(|| Notifier::new(Arc::clone(&dedicated), me));
        let observers = Arc::new(Observers::new(
            self.hooks.observers.clone(),
            Tallies::new(self.keeps_tallies),
        ));
        let base = Base {
            waker: Arc::new(Waker::new(notifier, Arc::clone(&observers))),
            dedicated: Arc::clone(&dedicated),
            quarantine: Arc::default(),
            logs: Arc::default(),
            crews: Arc::default(),
            middleware: self.hooks.middleware.clone(),
            watch: start_watch(&settings)?,
            process: Arc::new(Process::new(
                schema,
                (self.max_payload_bytes, self.is_correlating),
                &dedicated,
                observers,
                SendHooks::new(self.hooks.sends.clone()),
            )),
        };
        let is_listening = self.is_notifying && !settings.is_pooler_safe;
        let poll_interval = self.poll_interval.min(MAX_POLL_INTERVAL);
        let core = Core::new(base, pool, me, poll_interval, is_listening);
        #[cfg(feature = "metrics")]
        core.measure(self.hooks.recording)?;
        Ok(Messaging::new(core, self.operator))
    }

    /// Makes the pool, which opens no connection yet.
    fn pool_over(&self, dedicated: &Arc<Dedicated>) -> Result<Pool> {
        let (dedicated, timeout) = (Arc::clone(dedicated), self.checkout_timeout);
        match &self.lender {
            None => Pool::new(dedicated, self.size(), timeout),
            Some(lender) => Ok(Pool::of(Arc::clone(lender), dedicated, timeout)),
        }
    }

    fn size(&self) -> u32 {
        self.pool_size.unwrap_or(POOL_SIZE)
    }

    /// Refuses what is out of range.
    fn check(&self) -> Result<()> {
        Pool::check(self.size(), self.checkout_timeout)?;
        if let (Some(size), Some(_)) = (self.pool_size, &self.lender) {
            return Err(Error::invalid(format!(
                "pool_size is {size} beside a pool that is lent, which has its own size: leave out one of the two"
            )));
        }
        if self.poll_interval < Duration::from_millis(10) {
            let interval = self.poll_interval;
            return Err(Error::invalid(format!(
                "poll_interval is {interval:?}, the least is 10 ms"
            )));
        }
        if self.silence < MIN_SILENCE {
            let within = self.silence;
            return Err(Error::invalid(format!(
                "notice_silence is {within:?}, the least is {MIN_SILENCE:?}"
            )));
        }
        if self.max_payload_bytes == 0 || self.max_payload_bytes > 256 << 20 {
            let bytes = self.max_payload_bytes;
            return Err(Error::invalid(format!(
                "max_payload_bytes is {bytes}, it must be 1 to 268435456 (256 MiB)"
            )));
        }
        Ok(())
    }
}

/// Starts the thread that looks after silent connections.
fn start_watch(settings: &Arc<ConnectionSettings>) -> Result<Arc<Service>> {
    let settings = Arc::clone(settings);
    let body = move |stop: Stop| watch(&settings, &stop);
    Service::start("outtray-watch", body).map(Arc::new)
}

/// Passes on what reading the schema's version said, but for a role that may not read it: one
/// that only sends needs no more than INSERT, and what it may not do it is told when it tries.
fn refuse_newer(version: Result<Option<i32>>) -> Result<()> {
    match version {
        Err(error) if error.kind() == ErrorKind::Denied => Ok(()),
        other => other.map(drop),
    }
}
