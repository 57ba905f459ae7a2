//! A message on its way in, and all checks before SQL.

use crate::words::content::Content;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::finite::to_json;
use crate::words::headers::{self, Headers};
use crate::words::json_text;
use crate::words::limits::micros_since_1970;
use crate::words::limits::{MAX_DELAY, duration_flaw, key_flaw};
use crate::words::message::MessageId;
use crate::words::payload::Payload;
use crate::words::rare::{Rare, Remembered};
use crate::words::topic;
use serde::Serialize;
use std::time::{Duration, SystemTime};

/// The latest time to send at: the year 2200, in microseconds since 1970.
const LATEST_US: i64 = 7_258_118_400_000_000;
/// How long the outcome of a message is kept unless said otherwise.
pub(crate) const TRACKED_FOR: Duration = Duration::from_secs(3600);
/// Messages that one message may come after: each is a row.
pub(crate) const MAX_AFTER: usize = 10_000;

/// A message with options, for [`MessagingSession::send`](crate::MessagingSession::send).
///
/// Each send makes a new id, so sending a clone sends another message.
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
    /// When it is ready; not said: by the topic's default.
    pub(crate) start: Option<ReadyWhen>,
    pub(crate) rare: Rare,
}

/// When a message is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadyWhen {
    /// This long after the start of the sender's transaction.
    After(Duration),
    /// At this time of the database's clock, in microseconds since 1970.
    At(i64),
}

impl ReadyWhen {
    /// Returns whether it is ready at once.
    pub(crate) fn is_now(self) -> bool {
        self == ReadyWhen::After(Duration::ZERO)
    }
}

impl NewMessage {
    /// Makes a message with a JSON payload.
    ///
    /// # Errors
    /// `Payload` when the value cannot become JSON: a map whose keys are not text, or a number that
    /// is not finite.
    pub fn json<T: Serialize + ?Sized>(topic: &str, payload: &T) -> Result<Self> {
        let text = to_json(payload).map_err(|error| {
            Error::new(
                ErrorKind::Payload,
                format!(
                    "payload for topic {} cannot become JSON: {error}",
                    shown(topic)
                ),
            )
            .because(error)
        })?;
        Ok(NewMessage::with(topic, Payload::json(text)))
    }

    /// Makes a message whose payload is already JSON text: a line of a file, a request's body.
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
        Ok(NewMessage::with(topic, Payload::json(text)))
    }

    /// Makes a message with a payload of bytes.
    pub fn bytes(topic: &str, payload: impl Into<Vec<u8>>) -> Self {
        NewMessage::with(topic, Payload::Bytes(payload.into()))
    }

    /// Makes a message that carries a received [`Payload`] unchanged.
    pub fn payload(topic: &str, payload: &Payload) -> Self {
        NewMessage::with(topic, payload.clone())
    }

    pub(crate) fn with(topic: &str, content: Payload) -> Self {
        NewMessage {
            topic: topic.to_owned(),
            content: Content::Own(content),
            priority: 0,
            headers: Headers::new(),
            start: None,
            rare: Rare::default(),
        }
    }

    /// Sets the priority: higher is claimed first. Default 0; any `i16` but its minimum.
    pub fn priority(mut self, priority: i16) -> Self {
        self.priority = priority;
        self
    }

    /// Adds a header, or replaces the one of that name. Names have 1 to 128 bytes and no control
    /// characters, values no NUL; together they have at most 16 KiB.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        if self.rare.null_headers.contains(&name) {
            self.rare.null_headers.remove(&name);
        }
        self.forget_flaw(&name);
        self.headers.insert(name, value.into());
        self
    }

    /// Adds a null header, or replaces the one of that name. [Filters](crate::Filter::null)
    /// distinguish it from a missing header. It is not among the headers that a handler gets, which
    /// are texts.
    pub fn null_header(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.forget_flaw(&name);
        self.headers.remove(&name);
        self.rare.null_headers.insert(name);
        self
    }

    /// Forgets what was wrong with the header of this name, which gets another value.
    fn forget_flaw(&mut self, name: &str) {
        if self.rare.flaws.contains_key(name) {
            self.rare.flaws.remove(name);
        }
    }

    /// Holds the message back for this long, by the database's clock, from the start of the
    /// sender's transaction. Default zero; at most ten years; precise to the microsecond.
    ///
    /// When the message is due, a process with a receiver of any topic moves it to its topic, and
    /// so does [`drain`](crate::Messaging::drain). It queues at the end then.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.start = Some(ReadyWhen::After(delay));
        self
    }

    /// Holds the message back until this time, by the database's clock. A message whose time is
    /// past when it is stored is ready at once, without a process that moves it. From 1970 to 2200;
    /// precise to the microsecond. The last call of `at` and [`delay`](Self::delay) counts.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.start = Some(ReadyWhen::At(micros_since_1970(time)));
        self
    }

    /// Sets the key: messages of the topic with the same key are handled one at a time, in the
    /// order in which their transactions stored them, by all processes together. 1 to 512 bytes
    /// without NUL. Default none.
    ///
    /// Other messages of the key wait while one waits for its retry. A delayed message joins the
    /// end of its key's line when it is due. Transactions that send with the same key commit one
    /// after the other.
    ///
    /// If two transactions store several times and send with the same keys, each may wait for the
    /// other; then one of them fails with [`Conflict`](crate::ErrorKind::Conflict). A session
    /// stores once, before COMMIT, unless it is [joined](crate::MessagingSession::join) or sends
    /// more than 5,000 messages or 4 MiB: then send sorted by key, or [try
    /// again](crate::Messaging::retrying).
    ///
    /// ```
    /// # use outtray::NewMessage;
    /// let change = NewMessage::json("balances", &-30)?.key("customer-7");
    /// # Ok::<(), outtray::Error>(())
    /// ```
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.rare.key = Some(key.into());
        self
    }

    /// Sets how long the message is worth handling, by the database's clock, from the start of the
    /// sender's transaction. Then it becomes a dead letter, or is dropped, as its topic is
    /// configured. A handler that is running at that time is not disturbed. Default: the topic's
    /// setting, or no limit; more than zero, at most ten years.
    ///
    /// ```
    /// # use outtray::NewMessage;
    /// # use std::time::Duration;
    /// let day = Duration::from_secs(86_400);
    /// let offer = NewMessage::json("offers", "today only")?.expires_in(day);
    /// # Ok::<(), outtray::Error>(())
    /// ```
    pub fn expires_in(mut self, duration: Duration) -> Self {
        self.rare.expires_in = Some(duration);
        self
    }

    /// Waits up to this long, in [`send`](crate::MessagingSession::send), for room in a full topic
    /// with a [`max_length`](crate::TopicConfig::max_length). Default: that of the session, which
    /// is [not to wait](crate::MessagingSession::wait_for_room).
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::{ErrorKind, NewMessage, TopicConfig};
    /// # use std::time::Duration;
    /// messaging.topic("scans").configure(TopicConfig {
    ///     max_length: Some(10_000),
    ///     ..TopicConfig::default()
    /// })?;
    /// let scan = NewMessage::bytes("scans", [1, 2]).wait_for_room(Duration::from_secs(5));
    /// match messaging.send(scan) {
    ///     Err(error) if error.kind() == ErrorKind::Full => println!("too many scans: {error}"),
    ///     sent => println!("sent as {}", sent?.id()),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn wait_for_room(mut self, timeout: Duration) -> Self {
        self.rare.room_wait = Some(timeout);
        self
    }

    /// Makes [publishing](crate::MessagingSession::publish_message) it an error of the kind
    /// [`NoSubscription`](crate::ErrorKind::NoSubscription) when nobody subscribed to its routing
    /// key. Default: then it goes nowhere, and the number of copies says so. Means nothing where
    /// the message is sent to a topic.
    pub fn mandatory(mut self) -> Self {
        self.rare.is_mandatory = true;
        self
    }

    /// Records how the message ends, for
    /// [`wait_for_completion`](crate::Messaging::wait_for_completion) and for messages that come
    /// [`after`](Self::after) it. Kept for an hour after the end.
    pub fn tracked(self) -> Self {
        self.tracked_for(TRACKED_FOR)
    }

    /// Like [`tracked`](Self::tracked), but kept for this long after the end: more than zero, at
    /// most ten years.
    pub fn tracked_for(mut self, kept: Duration) -> Self {
        self.rare.tracked_for = Some(kept);
        self
    }

    /// Holds the message back until all of these messages are done, on any topics. Each must have
    /// been sent as [`tracked`](Self::tracked). A message of the same session becomes tracked by
    /// this call if it is not stored yet. It is stored at once in a
    /// [joined](crate::MessagingSession::join) session, and after 5,000 more messages or 4 MiB in
    /// others; say `tracked()` there. Adds to the messages named before.
    ///
    /// While one of them is a dead letter, the message waits. If one is cancelled or purged, or
    /// expires on a topic that [drops](crate::Expired::Drop) expired messages, the message becomes
    /// a dead letter.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::NewMessage;
    /// messaging.session(|session| {
    ///     let paid = session.send_message("payments", &42)?;
    ///     let packed = session.send_message("parcels", &42)?;
    ///     session.send(NewMessage::json("mails", "it is on its way")?.after(&[paid, packed]))?;
    ///     Ok(())
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn after(mut self, ids: &[MessageId]) -> Self {
        self.rare.after.extend_from_slice(ids);
        self
    }

    /// Checks all that the database would refuse, or could not give back.
    /// Returns the topic, for [send hooks](crate::Builder::before_send).
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Returns the headers that it has so far, but for null headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    pub(crate) fn check(&self, max_payload_bytes: usize) -> Result<()> {
        topic::check(&self.topic)?;
        headers::check(&self.topic, &self.headers, &self.rare.null_headers)?;
        if let Some((name, flaw)) = self.rare.flaws.first_key_value() {
            return Err(self.invalid(&format!("header \"{name}\" {flaw}")));
        }
        if self.priority == i16::MIN {
            return Err(Error::invalid(format!(
                "priority {} for topic {} is out of range, the least is {}",
                self.priority,
                self.topic,
                i16::MIN + 1
            )));
        }
        match self.start {
            Some(ReadyWhen::After(delay)) if delay > MAX_DELAY => {
                return Err(self.invalid(&format!(
                    "delay of {} s is longer than ten years",
                    delay.as_secs()
                )));
            }
            Some(ReadyWhen::At(us)) if !(0..=LATEST_US).contains(&us) => {
                return Err(self.invalid("time to be sent at is not between 1970 and 2200"));
            }
            _ => {}
        }
        self.check_duration("expires_in", self.rare.expires_in)?;
        self.check_duration("tracked_for", self.rare.tracked_for)?;
        self.check_key("key", self.rare.key.as_deref())?;
        if let Some((key, remembered)) = &self.rare.dedupe {
            self.check_key("dedupe key", Some(key))?;
            if let Remembered::For(window) = remembered {
                self.check_duration("dedupe window", Some(*window))?;
            }
        }
        if self.rare.after.len() > MAX_AFTER {
            return Err(self.invalid(&format!(
                "message comes after {} others, the limit is {MAX_AFTER}",
                self.rare.after.len()
            )));
        }
        self.check_content(max_payload_bytes)
    }

    fn check_duration(&self, what: &str, duration: Option<Duration>) -> Result<()> {
        let flaw = duration.and_then(|duration| duration_flaw(what, duration));
        flaw.map_or(Ok(()), |flaw| Err(self.invalid(&flaw)))
    }

    fn check_key(&self, what: &str, key: Option<&str>) -> Result<()> {
        let flaw = key.and_then(|key| key_flaw(what, key));
        flaw.map_or(Ok(()), |flaw| Err(self.invalid(&flaw)))
    }

    fn invalid(&self, what: &str) -> Error {
        Error::invalid(format!("{what}, on topic {}", self.topic))
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
        let Payload::Json(text) = &*self.content else {
            return Ok(());
        };
        match json_text::flaw(text.get()) {
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
    use std::time::UNIX_EPOCH;

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
        for zero in [
            good().expires_in(Duration::ZERO),
            good().tracked_for(Duration::ZERO),
            good().dedupe("d", Duration::ZERO),
            good().expires_in(Duration::MAX),
            good().key(""),
            good().key("k".repeat(513)),
            good().dedupe("", Duration::from_secs(1)),
            good().dedupe_until_end(""),
            good().at(UNIX_EPOCH - Duration::from_secs(1)),
            good().at(UNIX_EPOCH + 300 * MAX_DELAY / 10),
        ] {
            check_refused(zero, ErrorKind::Invalid, "on topic t");
        }
        check_refused(good().key("a\0b"), ErrorKind::Invalid, "NUL");
        check_refused(
            good().after(&vec![MessageId::new(); 10_001]),
            ErrorKind::Invalid,
            "10001 others",
        );
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
