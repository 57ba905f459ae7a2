//! Serving HTTP, for the dashboard and for the command's other pages: sockets, tokens, who is
//! logged in, what browsers say of where a request comes from, and asking those who take long.
//! Knows nothing of messages.
//!
//! ```text
//!   a thread of its own, with a runtime: accepts, reads requests, writes answers (`http_server`)
//!      │ each request, with the address of its client
//!      └─► a router: that of the dashboard, of the command's pages, or both
//!            └─► a desk: threads that may wait, as the first may not (`desk`); what they
//!                found is kept for a moment (`shelf`)
//! ```

pub(crate) mod desk;
pub(crate) mod fields;
pub(crate) mod http_server;
pub(crate) mod provenance;
pub(crate) mod sessions;
pub(crate) mod shelf;
pub(crate) mod stopping;
pub(crate) mod token;
