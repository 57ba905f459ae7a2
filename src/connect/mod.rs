//! Connections: their settings, their TLS, their prepared statements, and where they are kept.

pub(crate) mod apart;
pub(crate) mod caller_sql;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod conninfo;
pub(crate) mod dedicated;
pub(crate) mod dial;
pub(crate) mod endpoints;
pub(crate) mod lazy_transaction;
pub(crate) mod execute;
pub(crate) mod frames;
pub(crate) mod greeting;
pub(crate) mod keywords;
pub(crate) mod lender;
pub(crate) mod literal;
pub(crate) mod pipeline;
pub(crate) mod pool;
pub(crate) mod pooler;
pub(crate) mod preference;
pub(crate) mod pulse;
pub(crate) mod quick_tries;
pub(crate) mod refused;
mod serialized;
pub(crate) mod settings;
pub(crate) mod signs;
pub(crate) mod sql_watch;
pub(crate) mod statement_cache;
pub(crate) mod tls;
#[cfg(any(feature = "native-tls", feature = "rustls"))]
pub(crate) mod tls_library;
pub(crate) mod tls_wish;
pub(crate) mod transaction;
pub(crate) mod tries;
pub(crate) mod url_error;
pub(crate) mod wired;
pub(crate) mod wiring;
