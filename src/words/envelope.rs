//! The names of headers that have a meaning, for programs in any language.
//!
//! A message's own id needs no header: it is [`Message::id`](crate::Message::id), which every
//! message has. The other names are those of the field. Setters of
//! [`NewMessage`](crate::NewMessage) and getters of [`Message`](crate::Message) have the same
//! names, with `_` for `-`. What a setter is given is checked when the message is sent. A header
//! that was set by its name, or by a program in another language, may say anything; getters return
//! `None` where it makes no sense.
//!
//! | constant | header | who sets it |
//! |---|---|---|
//! | [`MESSAGE_TYPE`] | `message-type` | the sender |
//! | [`SCHEMA_VERSION`] | `schema-version` | the sender |
//! | [`CONTENT_TYPE`] | `content-type` | the sender |
//! | [`CORRELATION_ID`] | `correlation-id` | a handler's session by itself, or the sender |
//! | [`CAUSATION_ID`] | `causation-id` | a handler's session by itself, or the sender |
//! | [`REPLY_TO`] | `reply-to` | the sender of a request |
//! | [`TRACEPARENT`] | `traceparent` | the sender; a handler's session carries it on by itself |
//! | [`TRACESTATE`] | `tracestate` | the same |

use crate::words::headers::Headers;
use crate::words::media_type::media_type_flaw;
use crate::words::message::Message;
use crate::words::new_message::NewMessage;
use crate::words::topic;
use crate::words::trace_context::{traceparent_flaw, tracestate_flaw};

/// What the message says, for example `order.created`. Routers go by it.
pub const MESSAGE_TYPE: &str = "message-type";
/// The version of the payload's schema: a whole number from 0, in decimal digits.
pub const SCHEMA_VERSION: &str = "schema-version";
/// The media type of the payload, for example `text/csv; charset=utf-8`.
pub const CONTENT_TYPE: &str = "content-type";
/// What all messages have in common that one event set off, directly or not: the id of the first of
/// them, or whatever its sender chose.
pub const CORRELATION_ID: &str = "correlation-id";
/// The id of the message whose handler sent this one.
pub const CAUSATION_ID: &str = "causation-id";
/// The topic to which an answer is to be sent.
pub const REPLY_TO: &str = "reply-to";
/// Where the sender stands in a distributed trace, as
/// [W3C Trace Context](https://www.w3.org/TR/trace-context/) says.
pub const TRACEPARENT: &str = "traceparent";
/// What tracing systems add to [`TRACEPARENT`].
pub const TRACESTATE: &str = "tracestate";

/// The longest value of those that are free text. They end up in logs, indexes and listings.
const MAX_TEXT_BYTES: usize = 256;

impl NewMessage {
    /// Sets the header [`message-type`](MESSAGE_TYPE): what the message says, for example
    /// `order.created`. 1 to 256 bytes without control characters, else the send is `Invalid`.
    /// Default none.
    ///
    /// ```
    /// # use outtray::NewMessage;
    /// let order = NewMessage::json("orders", &42)?
    ///     .message_type("order.created")
    ///     .schema_version(2);
    /// # Ok::<(), outtray::Error>(())
    /// ```
    pub fn message_type(self, message_type: impl Into<String>) -> Self {
        self.text(MESSAGE_TYPE, message_type.into())
    }

    /// Sets the header [`schema-version`](SCHEMA_VERSION): the version of the payload's schema.
    /// Default none.
    pub fn schema_version(self, version: u32) -> Self {
        self.header(SCHEMA_VERSION, version.to_string())
    }

    /// Sets the header [`content-type`](CONTENT_TYPE): the media type of the payload, for example
    /// `text/csv; charset=utf-8`. Default none. Anything but a media type of at most 512 bytes
    /// makes the send `Invalid`. It is for readers: outtray itself stores JSON or bytes as the
    /// payload is made.
    pub fn content_type(self, media_type: impl Into<String>) -> Self {
        let value = media_type.into();
        let flaw = media_type_flaw(&value).map(str::to_owned);
        self.checked(CONTENT_TYPE, value, flaw)
    }

    /// Sets the header [`correlation-id`](CORRELATION_ID), which all messages have in common that
    /// one event set off. 1 to 256 bytes without control characters, else the send is `Invalid`.
    /// Default: in a handler that of its message, or else the message's id; elsewhere none.
    pub fn correlation_id(self, id: impl Into<String>) -> Self {
        self.text(CORRELATION_ID, id.into())
    }

    /// Sets the header [`causation-id`](CAUSATION_ID): the id of the message that this one follows
    /// from. 1 to 256 bytes without control characters, else the send is `Invalid`. Default: in a
    /// handler the id of its message, elsewhere none. [`caused_by`](Self::caused_by) sets it with
    /// all that belongs to it.
    pub fn causation_id(self, id: impl Into<String>) -> Self {
        self.text(CAUSATION_ID, id.into())
    }

    /// Sets the header [`reply-to`](REPLY_TO): the topic to which an answer is to be sent. Anything
    /// but a topic's name makes the send `Invalid`. Default none.
    pub fn reply_to(self, topic: impl Into<String>) -> Self {
        let value = topic.into();
        let flaw = topic::check(&value).err();
        let flaw = flaw.map(|error| format!("is no topic's name: {error}"));
        self.checked(REPLY_TO, value, flaw)
    }

    /// Sets the header [`traceparent`](TRACEPARENT). Anything but what W3C Trace Context allows
    /// makes the send `Invalid`: version 00 of it, or what that can read of a later one. Default:
    /// in a handler that of its message, if that has a good one; elsewhere none.
    ///
    /// ```
    /// # use outtray::NewMessage;
    /// let order = NewMessage::json("orders", &42)?
    ///     .traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    /// # Ok::<(), outtray::Error>(())
    /// ```
    pub fn traceparent(self, traceparent: impl Into<String>) -> Self {
        let value = traceparent.into();
        let flaw = traceparent_flaw(&value).map(str::to_owned);
        self.checked(TRACEPARENT, value, flaw)
    }

    /// Sets the header [`tracestate`](TRACESTATE), which means something only beside a
    /// [`traceparent`](Self::traceparent). Anything but what W3C Trace Context allows makes the
    /// send `Invalid`. Default: in a handler that of its message, unless the message that is sent
    /// has a `traceparent` of its own; elsewhere none.
    pub fn tracestate(self, tracestate: impl Into<String>) -> Self {
        let value = tracestate.into();
        let flaw = tracestate_flaw(&value).map(str::to_owned);
        self.checked(TRACESTATE, value, flaw)
    }

    fn text(self, name: &'static str, value: String) -> Self {
        let flaw = text_flaw(&value);
        self.checked(name, value, flaw)
    }

    /// Sets a header; the send tells what is wrong with it.
    fn checked(self, name: &'static str, value: String, flaw: Option<String>) -> Self {
        let mut message = self.header(name, value);
        if let Some(flaw) = flaw {
            message.rare.flaws.insert(name, flaw);
        }
        message
    }
}

/// Headers with a meaning. Each returns `None` where the message does not have the header.
impl<T> Message<T> {
    /// Returns the header [`message-type`](MESSAGE_TYPE): what the message says.
    pub fn message_type(&self) -> Option<&str> {
        self.named(MESSAGE_TYPE)
    }

    /// Returns the header [`schema-version`](SCHEMA_VERSION); `None` also where it is not a whole
    /// number up to that of `u32`.
    pub fn schema_version(&self) -> Option<u32> {
        schema_version(&self.headers)
    }

    /// Returns the header [`content-type`](CONTENT_TYPE): the media type of the payload.
    pub fn content_type(&self) -> Option<&str> {
        self.named(CONTENT_TYPE)
    }

    /// Returns the header [`correlation-id`](CORRELATION_ID).
    pub fn correlation_id(&self) -> Option<&str> {
        self.named(CORRELATION_ID)
    }

    /// Returns the header [`causation-id`](CAUSATION_ID): the id of the message that this one
    /// follows from.
    pub fn causation_id(&self) -> Option<&str> {
        self.named(CAUSATION_ID)
    }

    /// Returns the header [`reply-to`](REPLY_TO): the topic that waits for an answer.
    pub fn reply_to(&self) -> Option<&str> {
        self.named(REPLY_TO)
    }

    /// Returns the header [`traceparent`](TRACEPARENT). `None` also where it is not what W3C Trace
    /// Context allows: then the trace is to begin anew, as if there were none.
    pub fn traceparent(&self) -> Option<&str> {
        traceparent(&self.headers)
    }

    /// Returns the header [`tracestate`](TRACESTATE). `None` also where it, or the
    /// [`traceparent`](Self::traceparent) that it belongs to, is missing or is not what W3C Trace
    /// Context allows.
    pub fn tracestate(&self) -> Option<&str> {
        tracestate(&self.headers)
    }

    fn named(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// Returns the schema's version, if it is a number.
pub(crate) fn schema_version(headers: &Headers) -> Option<u32> {
    let digits = headers.get(SCHEMA_VERSION)?;
    // `parse` would take a plus sign, too.
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// Returns the `traceparent`, if it is well formed.
pub(crate) fn traceparent(headers: &Headers) -> Option<&str> {
    let value = headers.get(TRACEPARENT)?;
    traceparent_flaw(value).is_none().then_some(value)
}

/// Returns the `tracestate`, if it and the `traceparent` are well formed.
pub(crate) fn tracestate(headers: &Headers) -> Option<&str> {
    traceparent(headers)?;
    let value = headers.get(TRACESTATE)?;
    tracestate_flaw(value).is_none().then_some(value)
}

fn text_flaw(value: &str) -> Option<String> {
    let length = value.len();
    if length == 0 || length > MAX_TEXT_BYTES {
        return Some(format!("has {length} bytes, use 1 to {MAX_TEXT_BYTES}"));
    }
    let bad = value.chars().find(|c| c.is_control())?;
    Some(format!("has the control character {bad:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::ErrorKind;

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn message() -> NewMessage {
        NewMessage::bytes("t", [1])
    }

    #[track_caller]
    fn check_refused(message: &NewMessage, parts: [&str; 2]) {
        let error = message.check(1000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }

    #[test]
    fn setters_set_the_headers_of_their_names() {
        let set = message()
            .message_type("order.created")
            .schema_version(2)
            .content_type("application/json")
            .correlation_id("c-1")
            .causation_id("m-1")
            .reply_to("answers")
            .traceparent(TRACE)
            .tracestate("rojo=1");

        assert!(set.check(1000).is_ok());
        let expected = [
            (CAUSATION_ID, "m-1"),
            (CONTENT_TYPE, "application/json"),
            (CORRELATION_ID, "c-1"),
            (MESSAGE_TYPE, "order.created"),
            (REPLY_TO, "answers"),
            (SCHEMA_VERSION, "2"),
            (TRACEPARENT, TRACE),
            (TRACESTATE, "rojo=1"),
        ];
        let found: Vec<(&str, &str)> = set
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_a_setter_is_given_is_checked_by_the_send() {
        check_refused(&message().message_type(""), ["message-type", "0 bytes"]);
        let long = "t".repeat(257);
        check_refused(&message().message_type(long), ["message-type", "257 bytes"]);
        check_refused(&message().message_type("a\nb"), ["message-type", r"'\n'"]);
        check_refused(&message().correlation_id(""), ["correlation-id", "0 bytes"]);
        check_refused(
            &message().causation_id("\u{7}"),
            ["causation-id", "control"],
        );
        check_refused(
            &message().content_type("json"),
            ["content-type", "media type"],
        );
        check_refused(&message().reply_to("a b"), ["reply-to", "topic"]);
        check_refused(&message().traceparent("00-1"), ["traceparent", "shorter"]);
        check_refused(&message().tracestate("a"), ["tracestate", "entry"]);
    }

    #[test]
    fn the_last_value_of_a_header_counts() {
        let mended = message().traceparent("bad").traceparent(TRACE);
        assert!(mended.check(1000).is_ok());
        assert!(
            message()
                .traceparent("bad")
                .header(TRACEPARENT, "own")
                .check(1000)
                .is_ok()
        );
        assert!(
            message()
                .traceparent("bad")
                .null_header(TRACEPARENT)
                .check(1000)
                .is_ok()
        );
        check_refused(
            &message().traceparent(TRACE).traceparent("bad"),
            ["traceparent", "shorter"],
        );
    }

    #[test]
    fn headers_that_make_no_sense_are_read_as_none() {
        let version = |text: &str| {
            schema_version(&Headers::from([(
                SCHEMA_VERSION.to_owned(),
                text.to_owned(),
            )]))
        };
        assert_eq!(version("0"), Some(0));
        assert_eq!(version("4294967295"), Some(u32::MAX));
        for bad in ["", "-1", "+1", "1.0", " 1", "4294967296", "v2"] {
            assert_eq!(version(bad), None, "{bad}");
        }
        let state = |parent: &str, state: &str| {
            let headers = [(TRACEPARENT, parent), (TRACESTATE, state)];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
            tracestate(&Headers::from(headers)).map(str::to_owned)
        };
        assert_eq!(state(TRACE, "a=1").as_deref(), Some("a=1"));
        assert_eq!(state(TRACE, "a"), None);
        assert_eq!(state("bad", "a=1"), None);
    }
}
