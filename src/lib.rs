//! A message queue in the PostgreSQL that your application already runs, for programs made of plain
//! threads. A message is sent in the same transaction as the change that caused it, and a pool of
//! threads handles it in the same transaction that removes it. There is no broker, no async
//! runtime, and no second source of truth.
//!
//! ```
//! use outtray::{Message, Messaging, testing::Server};
//! use serde::{Deserialize, Serialize};
//! use std::{sync::mpsc, time::Duration};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order { id: i32, amount: i32 }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // A throwaway PostgreSQL. Yours: Messaging::connect("postgresql://…").
//!     let server = Server::start()?;
//!     let messaging = Messaging::connect(&server.database()?)?;
//!     messaging.migrate()?;
//!
//!     // One transaction: the table, the row, and a message that exists once it has committed.
//!     messaging.session(|session| {
//!         session.batch_execute("CREATE TABLE account (id integer, balance integer)")?;
//!         session.execute("INSERT INTO account VALUES (7, 100)", &[])?;
//!         session.send_message("orders", &Order { id: 1, amount: 30 })?;
//!         Ok(())
//!     })?;
//!
//!     // What the handler writes and sends, and the end of its message, commit together.
//!     let (done, handled) = mpsc::channel();
//!     let receiver = messaging.start_receiving_messages(
//!         "orders",
//!         move |session, message: Message<Order>| {
//!             let Order { id, amount } = message.payload;
//!             session.execute("UPDATE account SET balance = balance - $1", &[&amount])?;
//!             session.send_message("mails", &format!("order {id} is paid"))?;
//!             done.send(())?;
//!             Ok(())
//!         },
//!     )?;
//!     handled.recv_timeout(Duration::from_secs(30))?;
//!     receiver.stop(Duration::from_secs(10));
//!
//!     let balance: i32 = messaging.session(|session| {
//!         Ok(session.query_one("SELECT balance FROM account", &[])?.try_get(0)?)
//!     })?;
//!     assert_eq!(balance, 70);
//!     assert!(messaging.topic("orders").is_empty()?);
//!     assert_eq!(messaging.topic("mails").stats()?.ready, 1);
//!     Ok(())
//! }
//! ```
//!
#![doc = include_str!("../docs/PROMISES.md")]
//!
//! # The nouns
//!
//! | noun | meaning |
//! |---|---|
//! | topic | a named queue of messages, created by its first use |
//! | send | put one message on one topic |
//! | publish, subscription | copy one message to every topic that subscribed to a matching pattern |
//! | request, reply | a message that asks, and the one that answers it |
//! | session | one database transaction with the queue's verbs in it |
//! | handler | your closure, called with a session and a message |
//! | receiver | a pool of threads that runs a handler for each message of a topic |
//! | claim | take ready messages for one worker only: row locks inside its transaction |
//! | attempt | the nth delivery of a message, counted from 1 |
//! | scheduled | waiting for its time: a delay, or the backoff of a retry |
//! | lease, receipt | exclusive time to work without an open transaction; the proof needed to settle it |
//! | key | messages of one topic with the same key are handled one at a time, in the order of sending |
//! | dedupe key | a second send with the same one is dropped, within its window or until the first message has ended |
//! | tracked | the end of the message is recorded, for those who wait for it |
//! | dead letter | a message that was given up, kept with its error until somebody decides |
//! | redrive | move dead letters back to their topic |
//! | log | a topic that keeps its messages, for readers that each have a position of their own |
//! | suspect | a topic on which a process died with messages in hand: until they have ended, deliveries are counted in advance |
//!
//! # A map
//!
//! - [`Messaging`] is the front door; clone it to wherever messages are sent or received.
//!   [`Messaging::session`] runs a transaction, [`Messaging::send`] sends one message alone.
//!   [`Builder`] has the options of the connection.
//! - [`MessagingSession`] reads, writes and sends in one transaction;
//!   [`join`](MessagingSession::join) makes one inside a transaction of your own.
//! - [`NewMessage`] has the options of a message: priority, times, headers, key, expiry, dedupe,
//!   dependencies.
//! - [`envelope`] has the names of headers that have a meaning, such as the message's type.
//!   [`CloudEvent`] is an event of other systems, as a message.
//! - [`ReceiverBuilder`] has the options of a receiver, [`Receiver`] is a running one.
//!   [`Messaging::drain`] handles everything that is ready on the caller's thread.
//! - [`Message`] is what a handler gets, [`HandlerError`] what it may return, and [`Backoff`] says
//!   when the message is tried again. [`Payload`] is a payload of any kind, undecoded.
//!   [`BatchMessage`] is one message of a batch.
//! - [`Router`] is a handler made of handlers, by the type of the message. A
//!   [middleware](ReceiverBuilder::middleware) runs around handlers: it sees an [`Incoming`]
//!   message, and has the [`Next`] step.
//! - [`Topic::receive`] and its variants take messages by hand under a lease: a [`Delivery`] for
//!   each, with a [`Receipt`] that settles it. [`Matching`] takes only messages that match a
//!   filter. [`Interrupt`] ends another thread's wait.
//! - [`TopicConfig`] holds the settings of a topic in the database, [`Filter`] says which messages
//!   a receiver wants, [`Completion`] how a tracked message ended.
//! - [`MessagingSession::publish`] copies a message to all who [subscribed](Messaging::subscribe);
//!   [`Published`] says how many they were, [`Subscription`] who they are. An
//!   [`EphemeralSubscription`] ends with its holder.
//! - [`Messaging::request`] asks a question and waits for the answer; a handler
//!   [replies](MessagingSession::reply). A [`PendingReply`] is one of several that were asked.
//! - [`Tail`] follows a log, [`ReaderBuilder`] has the options of a named reader of one, and
//!   [`Position`] says where to begin.
//! - [`Topic`] shows and operates a topic: numbers, waiting and scheduled messages, dead letters (a
//!   [`Selection`] of them), purge.
//! - [`Messaging::message`] returns one message by its id, wherever it is: a [`FoundMessage`].
//!   [`Topic::search`] returns those of a [`Search`], in pages ([`SearchPage`]). [`ErrorGroups`]
//!   are dead letters by their errors, an [`Edit`] changes one before it is redriven.
//! - [`Messaging::changes`] lists what operators did, each a [`Change`], and
//!   [`Messaging::as_operator`] says who an [`Operator`] is.
//! - [`Messaging::doctor`] examines the server and the schema: a [`Diagnosis`] has [`Finding`]s,
//!   each with its [`Severity`] and its [`Remedy`]s. A [`Doctor`] has options.
//! - [`Messaging::why`] says why a message is not handled now, or what became of it: a [`Why`] has
//!   a [`WhyState`] and [`Obstacle`]s.
//! - An observer ([`Builder::on_event`]) is told of every [`Event`] in the process, such as a
//!   message that is done, or a connection that is lost ([`ConnectionOf`]).
//! - [`Messaging::vitals`] says how this process is ([`Vitals`], a [`Crew`] for each receiver),
//!   [`Messaging::backlogs`] what all topics have, each a [`TopicBacklog`]. With the feature
//!   `metrics` the module `metrics` records it all for an exporter. [`Messaging::processes`] lists
//!   who receives, on all hosts, and what is in work: a [`RunningProcess`] has
//!   [`RunningReceiver`]s, and these have [`RunningHandler`]s.
//! - [`Error`] and its [`ErrorKind`] say what a caller can do.
//! - [`testing`] is a kit for tests: throwaway servers and databases, assertions of what was sent,
//!   handlers run on the test's thread and through time, and faults.
//!
//! # Other crates in this API
//!
//! Types of [`postgres`] 0.19 and [`r2d2_postgres`] 0.18 are part of this API. Both crates are
//! below 1.0. They are re-exported here, so that a program can name their types without a
//! dependency of its own, which might be of another version. A breaking release of either is a
//! breaking release of outtray.
//!
//! | type | where |
//! |---|---|
//! | [`postgres::Row`], [`postgres::types::ToSql`] | [`MessagingSession::query`] and similar methods take parameters and return rows |
//! | [`postgres::Transaction`] | [`MessagingSession::transaction`] and [`with_transaction`](MessagingSession::with_transaction) lend one, [`join`](MessagingSession::join) takes one |
//! | [`postgres::Error`] | is a [cause](Error::cause) of an [`Error`], and a handler may return it with `?` |
//! | [`tracing::Span`] | [`Message::span`] returns one |
//! | [`r2d2::Pool`] of [`r2d2_postgres::PostgresConnectionManager`] | [`Builder::pool`] borrows one |
//!
//! Of the others, `serde`, `serde_json` and `uuid` are at 1, and `tracing` is at 0.1, as in every
//! program that uses it.
//!
//! # Cargo features
//!
//! | feature | adds |
//! |---|---|
//! | `rustls` or `native-tls` | encrypted connections; with both, rustls is used |
//! | `cron` | recurring messages |
//! | `opentelemetry` | the sender's span as the parent of the handler's, over processes, for programs that trace with OpenTelemetry |
//! | `metrics` | metrics of the process, for any exporter of the facade crate `metrics` |
//! | `dashboard` | the module `dashboard`: pages for a browser that a program serves |
//! | `cli` | the command `outtray`, with `cron`, `dashboard`, `metrics` and `rustls` |
//! | `command` | the same without TLS |
//!
//! None is on by default.

// Each folder imports from itself and from those above it here.
// Ground: knows no subject.
mod words;
mod observe;
mod threads;
mod schema;
mod db;
mod connect;
mod settings;
mod message;
mod wake;
// Subjects.
mod changes;
mod keys;
mod dedupe;
mod capacity;
mod rate_limit;
mod max_in_work;
mod completion;
mod processes;
mod crashes;
mod on_end;
mod expiry;
mod schedule;
mod history;
mod leases;
mod dependencies;
mod cancel;
mod dead_letters;
mod topics;
mod log;
mod finding;
mod publish;
mod tallies;
mod cloud_events;
// The engine, and what users hold.
mod session;
#[cfg(feature = "cron")]
mod recurring;
mod upkeep;
mod route;
mod receive;
mod request;
mod doctor;
mod why;
#[cfg(feature = "metrics")]
pub mod metrics;
mod surface;
#[cfg(feature = "dashboard")]
mod web;
#[cfg(feature = "dashboard")]
pub mod dashboard;
#[cfg(unix)]
pub mod testing;

pub use postgres;
pub use r2d2_postgres;

pub use changes::Change;
pub use changes::cursor::ChangeCursor;
pub use changes::operator::Operator;
pub use cloud_events::{CloudEvent, ContentMode, EventData, ExtensionValue};
pub use dead_letters::edit::Edit;
pub use dead_letters::letter::DeadLetter;
pub use dead_letters::selection::Selection;
pub use doctor::finding::{Diagnosis, Finding, Remedy, Severity};
pub use finding::cursor::SearchCursor;
pub use finding::error_groups::{ErrorGroup, ErrorGroups};
pub use finding::found::FoundMessage;
pub use finding::place::MessagePlace;
pub use finding::search::{Search, SearchPage};
pub use history::ended::EndedMessage;
pub use history::query::HistoryQuery;
pub use log::log_reader::LogReader;
pub use observe::connection_of::ConnectionOf;
pub use observe::event::Event;
pub use processes::crews::Crew;
pub use processes::running::{RunningHandler, RunningProcess, RunningReceiver};
pub use publish::Subscription;
pub use receive::batch_message::BatchMessage;
pub use receive::log::builder::ReaderBuilder;
pub use receive::middleware::Next;
pub use receive::receivers::builder::ReceiverBuilder;
pub use receive::receivers::receiver::Receiver;
pub use receive::vitals::Vitals;
#[cfg(feature = "cron")]
pub use recurring::Recurring;
#[cfg(feature = "cron")]
pub use recurring::recurrence::{Missed, Recurrence};
pub use route::patterns::Patterns;
pub use route::{NoMatch, Router};
pub use schedule::scheduled::ScheduledMessage;
pub use session::messaging_session::MessagingSession;
pub use session::publish::Published;
pub use surface::builder::Builder;
pub use surface::doctor::Doctor;
pub use surface::ephemeral::EphemeralSubscription;
pub use surface::manual::delivery::Delivery;
pub use surface::manual::matching::Matching;
pub use surface::manual::receipt::Receipt;
pub use surface::messaging::Messaging;
pub use surface::pending_reply::PendingReply;
pub use surface::retrying::Once;
pub use surface::tail::Tail;
pub use surface::topics::Topic;
pub use tallies::Tally;
pub use topics::backlogs::TopicBacklog;
pub use topics::peek::WaitingMessage;
pub use topics::stats::{Estimated, LogStats, TopicStats};
pub use wake::interrupt::{Interrupt, Wait};
pub use why::answer::{
    AwaitedMessage, Bounded, HandlingWorker, KeyHead, Obstacle, ReaderDistance, TopicReceiver, Why,
    WhyState,
};
pub use why::holder::LockHolder;
pub use words::completion::{Cancelled, Completion, Group, GroupProgress, How};
pub use words::envelope;
pub use words::error::{Error, ErrorKind, Result};
pub use words::failed_attempt::FailedAttempt;
pub use words::filter::Filter;
pub use words::handler_error::HandlerError;
pub use words::headers::Headers;
pub use words::incoming::Incoming;
pub use words::log_position::{LogPosition, Position};
pub use words::message::{Message, MessageId};
pub use words::new_message::NewMessage;
pub use words::outcome::{DeadReason, DrainReport, MessageState, Sent, StopReport, WaitReason};
pub use words::payload::{JsonText, Payload};
pub use words::retry::Backoff;
pub use words::topic_config::{Expired, PoisonedKey, Rate, TopicConfig, TopicSetting};
pub use words::topic_kind::{SlowReaders, TopicKind};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the example of the page about headers.
#[cfg(doctest)]
#[doc = include_str!("../docs/HEADERS.md")]
struct HeadersPage;

/// Compiles the examples of the page about growing.
#[cfg(doctest)]
#[doc = include_str!("../docs/SCALING.md")]
struct ScalingPage;

/// Compiles the examples of the page about tests.
#[cfg(all(doctest, unix))]
#[doc = include_str!("../docs/TESTING.md")]
struct TestingPage;

/// Compiles the example of the page about traces.
#[cfg(doctest)]
#[doc = include_str!("../docs/TRACING.md")]
struct TracingPage;

/// Runs the example of the page about metrics.
#[cfg(all(doctest, feature = "metrics", unix))]
#[doc = include_str!("../docs/METRICS.md")]
struct MetricsPage;

/// Compiles the examples of the page about the dashboard.
#[cfg(all(doctest, feature = "dashboard"))]
#[doc = include_str!("../docs/DASHBOARD.md")]
struct DashboardPage;

/// Compiles the example of the page about configuration.
#[cfg(doctest)]
#[doc = include_str!("../docs/CONFIGURATION.md")]
struct Configuration;
