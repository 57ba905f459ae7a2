//! A message on its way in, and all that is checked about it before SQL.

use crate::words::error::{Error, ErrorKind, Result};
use crate::words::headers::{self, Headers};
use crate::words::json_text;
use crate::words::message::MessageId;
use crate::words::payload::Payload;
use crate::words::topic;
use serde::Serialize;
use std::time::Duration;

/// Longest delay: ten years. Longer ones are mistakes of unit.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A message with options, for [`MessagingSession::send`](crate::MessagingSession::send).
///
/// Each send makes an id of its own, so a clone that is sent too is another message.
///
/// ```
/// use outtray::NewMessage;
/// use std::time::Duration;
///
/// let message = NewMessage::json("orders", &serde_json::json!({"id": 42}))?
///     .priority(5)
///     .delay(Duration::from_secs(60))
///     .header("source", "web");
/// # Ok::<(), outtray::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a message goes nowhere before it is sent"]
pub struct NewMessage {
    pub(crate) topic: String,
    pub(crate) content: Content,
    pub(crate) priority: i16,
    pub(crate) headers: Headers,
    pub(crate) delay: Duration,
}

/// A message that was sent, on its way to be stored.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Made before any SQL, so that it is known whatever becomes of the transaction.
    pub(crate) id: MessageId,
    pub(crate) message: NewMessage,
}

/// The payload in the form in which it is stored.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Json(String),
    Bytes(Vec<u8>),
}

impl Content {
    pub(crate) fn len(&self) -> usize {
        match self {
            Content::Json(text) => text.len(),
            Content::Bytes(bytes) => bytes.len(),
        }
    }
}

impl NewMessage {
    /// Makes a message with a JSON payload.
    ///
    /// # Errors
    /// `Payload` when the value cannot become JSON: a map whose keys are not text, for example.
    pub fn json<T: Serialize + ?Sized>(topic: &str, payload: &T) -> Result<Self> {
        let text = serde_json::to_string(payload).map_err(|error| {
            Error::new(
                ErrorKind::Payload,
                format!("payload for topic {} cannot become JSON", shown(topic)),
            )
            .because(error)
        })?;
        Ok(NewMessage::with(topic, Content::Json(text)))
    }

    /// Makes a message whose payload is JSON text already: a line of a file, a request's body.
    ///
    /// # Errors
    /// `Payload` when the text is not JSON, or holds what a receiver could not read back.
    pub fn json_text(topic: &str, text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        json_text::check_syntax(&text).map_err(|error| {
            Error::new(
                ErrorKind::Payload,
                format!("payload for topic {} is not JSON", shown(topic)),
            )
            .because(error)
        })?;
        Ok(NewMessage::with(topic, Content::Json(text)))
    }

    /// Makes a message with a payload of bytes.
    pub fn bytes(topic: &str, payload: impl Into<Vec<u8>>) -> Self {
        NewMessage::with(topic, Content::Bytes(payload.into()))
    }

    /// Makes a message that carries on a received [`Payload`] as it is.
    pub fn payload(topic: &str, payload: &Payload) -> Self {
        let content = match payload {
            Payload::Json(text) => Content::Json(text.get().to_owned()),
            Payload::Bytes(bytes) => Content::Bytes(bytes.clone()),
        };
        NewMessage::with(topic, content)
    }

    fn with(topic: &str, content: Content) -> Self {
        NewMessage {
            topic: topic.to_owned(),
            content,
            priority: 0,
            headers: Headers::new(),
            delay: Duration::ZERO,
        }
    }

    /// Sets the priority: higher is claimed first. Default 0; any `i16` but its minimum.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Adds a header, or replaces the one of that name. Names have 1 to 128 bytes and no control
    /// characters, values no NUL; all together have at most 16 KiB.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Keeps the message back for this long, by the database's clock, from the start of the
    /// sender's transaction. Default zero; at most ten years; kept to the microsecond.
    ///
    /// A process that has a receiver of any topic moves it to its topic when it is due, and so does
    /// [`drain`](crate::Messaging::drain). It takes its place at the end then.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Checks all that the database would refuse, or could not give back.
    pub(crate) fn check(&self, max_payload_bytes: usize) -> Result<()> {
        topic::check(&self.topic)?;
        headers::check(&self.topic, &self.headers)?;
        if self.priority == i16::MIN {
            return Err(Error::invalid(format!(
                "priority {} for topic {} is out of range, the least is {}",
                self.priority,
                self.topic,
                i16::MIN + 1
            )));
        }
        if self.delay > MAX_DELAY {
            return Err(Error::invalid(format!(
                "delay of {} s for topic {} is longer than ten years",
                self.delay.as_secs(),
                self.topic
            )));
        }
        self.check_content(max_payload_bytes)
    }

    fn check_content(&self, max_payload_bytes: usize) -> Result<()> {
        let length = self.content.len();
        if length > max_payload_bytes {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "payload of {length} bytes for topic {} is over the limit of \
                     {max_payload_bytes} bytes",
                    self.topic
                ),
            ));
        }
        let Content::Json(text) = &self.content else {
            return Ok(());
        };
        match json_text::flaw(text) {
            None => Ok(()),
            Some(flaw) => Err(Error::new(
                ErrorKind::Payload,
                format!("payload for topic {} cannot be stored: {flaw}", self.topic),
            )),
        }
    }
}

/// A topic name that was not checked yet, fit for an error text.
fn shown(topic: &str) -> String {
    topic
        .chars()
        .take(64)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[track_caller]
    fn check_refused(message: NewMessage, kind: ErrorKind, part: &str) {
        let error = message.check(1000).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(part), "{error}");
    }

    #[test]
    fn bad_messages_are_refused_before_sql() {
        let good = || NewMessage::json("t", &json!({"a": 1})).unwrap();
        assert!(good().check(1000).is_ok());

        check_refused(
            NewMessage::bytes("t", [0; 1001]),
            ErrorKind::TooLarge,
            "1001 bytes",
        );
        check_refused(NewMessage::bytes("", [0]), ErrorKind::Invalid, "empty");
        check_refused(good().header("", "x"), ErrorKind::Invalid, "header name");
        check_refused(good().priority(i16::MIN), ErrorKind::Invalid, "-32767");
        check_refused(good().delay(Duration::MAX), ErrorKind::Invalid, "ten years");
        let nul = NewMessage::json("t", "a\0b").unwrap();
        check_refused(nul, ErrorKind::Payload, "NUL");
    }

    #[test]
    fn a_value_that_cannot_become_json_is_an_error() {
        let odd = BTreeMap::from([(vec![1, 2], "keys must be text")]);
        let error = NewMessage::json("t", &odd).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Payload);
    }

    #[test]
    fn foreign_json_text_is_checked_at_once() {
        assert!(NewMessage::json_text("t", r#"{"a":1}"#).is_ok());
        for bad in ["", "{", "nope", r#""\ud800""#, r#""\u0000""#] {
            let error = NewMessage::json_text("t", bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Payload, "{bad}");
        }
    }
}
