//! A message queue in PostgreSQL for programs made of plain threads.

#[cfg(all(feature = "cli", unix))]
pub mod bench;
mod connect;
mod receive;
mod schema;
mod session;
mod store;
mod surface;
#[cfg(unix)]
pub mod testing;
mod upkeep;
mod wake;
mod words;

pub use receive::builder::ReceiverBuilder;
pub use receive::receiver::Receiver;
pub use session::messaging_session::MessagingSession;
pub use store::admin::{DeadLetter, TopicStats, WaitingMessage};
pub use surface::builder::Builder;
pub use surface::messaging::Messaging;
pub use surface::selection::Selection;
pub use surface::topic::Topic;
pub use words::error::{Error, ErrorKind, Result};
pub use words::handler_error::HandlerError;
pub use words::headers::Headers;
pub use words::message::{Message, MessageId};
pub use words::new_message::NewMessage;
pub use words::outcome::{DeadReason, DrainReport, StopReport};
pub use words::payload::Payload;
pub use words::retry::Backoff;
