//! A connection string leads to the right server, and nobody reads what travels there.

mod connection_strings;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod encrypted;
