//! CloudEvents 1.0: events of other systems as messages, and messages as events for them.
//!
//! In *structured* mode the payload is the whole event, as JSON. In *binary* mode the payload is
//! the event's data, and its attributes are headers `ce-…`. Either way the header `message-type`
//! has the event's type.
//!
//! The crate `cloudevents-sdk` is not used: it brings `chrono`, `url`, `snafu` and others, reads
//! data into a tree in which numbers lose digits, and checks little of what the specification says
//! of values. What is needed is here: the attributes and their rules (`attribute`), the JSON format
//! (`structured`) and headers (`binary`).
//!
//! Names of headers are those of HTTP: `ce-` before an attribute's name, and `content-type` for
//! `datacontenttype`. Values are UTF-8 as they are, as in Kafka's binding, since a header is text.

mod attribute;
mod binary;
mod event;
mod event_data;
mod structured;

pub use event::{CloudEvent, ExtensionValue};
pub use event_data::EventData;

use crate::words::envelope::CONTENT_TYPE;
use crate::words::error::{Error, Result};
use crate::words::media_type::essence;
use crate::words::message::Message;
use crate::words::new_message::NewMessage;
use crate::words::payload::Payload;

/// How an event becomes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentMode {
    /// The payload is the event, as JSON; the header `content-type` is
    /// `application/cloudevents+json`. For forwarding it as it is.
    Structured,
    /// The payload is the data, and headers `ce-…` are the attributes. For handlers that care about
    /// the data, and for filters. Bytes take a third less room.
    Binary,
}

impl CloudEvent {
    /// Makes a message for a topic. Its header `message-type` is the event's type. Options such as
    /// a key may be added to it.
    ///
    /// # Errors
    /// `Invalid` for an event that breaks a rule; see [`check`](Self::check).
    pub fn to_message(&self, topic: &str, mode: ContentMode) -> Result<NewMessage> {
        match mode {
            ContentMode::Structured => structured::message(self, topic),
            ContentMode::Binary => binary::message(self, topic),
        }
    }

    /// Reads the event that a message carries, in either mode; `None` for a message that is no
    /// event: neither does its header `content-type` begin with `application/cloudevents…`, nor has
    /// it a header `ce-specversion`.
    ///
    /// Data without bytes is no data in binary mode. Data there is JSON if its media type says so,
    /// and bytes otherwise.
    ///
    /// # Errors
    /// `Invalid` for an event that breaks a rule, is of another version than 1.0, or is in a format
    /// other than JSON; `Payload` where what has to be JSON is not. A handler that returns it with
    /// `?` is tried again; [reject](crate::HandlerError::reject) the message if that is in vain.
    pub fn from_message(message: &Message<Payload>) -> Result<Option<Self>> {
        let content_type = message.headers.get(CONTENT_TYPE);
        let content_type = content_type.map(|media_type| essence(media_type));
        match content_type.as_deref() {
            Some(structured::MEDIA_TYPE) => structured::read(&message.payload).map(Some),
            Some(other) if other.starts_with(structured::ANY_FORMAT) => {
                Err(Error::invalid(format!(
                    "a CloudEvent in a format other than {} cannot be read",
                    structured::MEDIA_TYPE
                )))
            }
            _ if message.headers.contains_key(binary::SPECVERSION) => {
                binary::read(&message.headers, &message.payload).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Writes the event in the JSON format.
    ///
    /// # Errors
    /// `Invalid` for an event that breaks a rule.
    pub fn to_json(&self) -> Result<String> {
        structured::written(self)
    }

    /// Reads an event in the JSON format.
    ///
    /// # Errors
    /// `Payload` for a text that is not JSON; `Invalid` for an event that breaks a rule.
    pub fn from_json(text: &str) -> Result<Self> {
        structured::parsed(text)
    }
}
