//! A pool of the caller's own, whose connections are lent to sessions.
//!
//! Nothing is known about such a connection: who used it before, what is prepared on it, whether a
//! pooler is between. So nothing is prepared or set on it, as behind a pooler in transaction mode,
//! and it goes back as it came.

use postgres::tls::{MakeTlsConnect, TlsConnect};
use postgres::{Client, Socket};
use r2d2_postgres::PostgresConnectionManager;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// A connection of the caller's; goes back when it is dropped.
pub(crate) type Borrowed = Box<dyn DerefMut<Target = Client> + Send>;

/// The driver's connection, and whose it is.
pub(crate) enum HeldClient {
    Ours(Box<Client>),
    /// Of a pool of the caller's, to which it goes back.
    Borrowed(Borrowed),
}

impl Deref for HeldClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        match self {
            HeldClient::Ours(client) => client,
            HeldClient::Borrowed(client) => client,
        }
    }
}

impl DerefMut for HeldClient {
    fn deref_mut(&mut self) -> &mut Client {
        match self {
            HeldClient::Ours(client) => client,
            HeldClient::Borrowed(client) => client,
        }
    }
}

/// A pool of the caller's, whatever its TLS.
pub(crate) trait Lender: Send + Sync {
    /// Lends a connection, within this time.
    fn lend(&self, timeout: Duration) -> Result<Borrowed, r2d2::Error>;

    /// Returns how many connections there are, and how many there may be.
    fn size(&self) -> (u32, u32);

    /// Returns how many of them nobody uses.
    fn idle(&self) -> u32;
}

impl<T> Lender for r2d2::Pool<PostgresConnectionManager<T>>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::TlsConnect: Send,
    T::Stream: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn lend(&self, timeout: Duration) -> Result<Borrowed, r2d2::Error> {
        Ok(Box::new(self.get_timeout(timeout)?))
    }

    fn size(&self) -> (u32, u32) {
        (self.state().connections, self.max_size())
    }

    fn idle(&self) -> u32 {
        self.state().idle_connections
    }
}
