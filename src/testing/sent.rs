//! What was sent and is there: asked by tests, of a database or inside a transaction.

use crate::db::Run;
use crate::log::log_stats;
use crate::schedule::scheduled;
use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::testing::complaint::{ShownMessages, none_of, some_of};
use crate::testing::sent_message::SentMessage;
use crate::topics::peek;
use crate::words::Result;
use crate::words::outcome::WaitReason;
use crate::words::topic;
use serde::de::DeserializeOwned;

/// Messages of one topic that are looked at.
const MOST: i64 = 10_000;

/// Says what was sent: for tests.
///
/// It is implemented for [`Messaging`], which sees what is committed, and for a
/// [`MessagingSession`], which also sees what its own transaction sent: in a handler, in
/// [`Messaging::session`], and in a transaction of your own that you
/// [join](MessagingSession::join) and roll back at the end of the test.
///
/// They see every message that has not ended: ready, scheduled, in work, behind others of its key,
/// after other messages, kept in a log. What was published is in the topics that subscribed. A
/// message that was handled is gone, so look before a receiver runs, or look at what the handler
/// wrote. Up to 10,000 messages of a topic are seen.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::testing::{AssertSent, TestDatabase};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Mail { to: String }
///
/// let database = TestDatabase::new()?;
/// let messaging = database.messaging();
/// messaging.session(|session| {
///     session.send_message("mails", &Mail { to: "a@b.c".into() })?;
///     session.assert_sent("mails", |mail: &Mail| mail.to == "a@b.c");
///     Ok(())
/// })?;
/// messaging.assert_sent::<Mail>("mails", |mail| mail.to == "a@b.c");
/// messaging.assert_sent_count("mails", 1);
/// messaging.assert_not_sent::<Mail>("mails", |mail| mail.to.is_empty());
/// messaging.assert_nothing_sent("invoices");
/// # Ok(()) }
/// ```
///
/// # Panics
/// The methods that assert panic where they do not find what they want, and show what was sent:
/// payloads, shortened, and headers. They also panic where the database cannot be asked.
pub trait AssertSent: Sized {
    /// Runs `look` where this sees. Not for users.
    #[doc(hidden)]
    fn look_at_sent<R>(self, look: impl FnOnce(&mut dyn SentView) -> Result<R>) -> Result<R>;

    /// Returns the messages of a topic, undecoded: those that are ready in claim order, those
    /// behind them, then those that are scheduled by when they are due; of a log, in the order of
    /// sending.
    ///
    /// # Errors
    /// `Invalid` for a bad topic name, `SchemaMissing`, `Unavailable`, `PoolExhausted`; in a
    /// session also those of [`send`](MessagingSession::send), for what it kept until now.
    fn sent_messages(self, topic: &str) -> Result<Vec<SentMessage>> {
        self.look_at_sent(|view| view.sent(topic))
    }

    /// Returns the messages of a topic, decoded.
    ///
    /// # Errors
    /// `Payload` for one that does not fit, and those of [`sent_messages`](Self::sent_messages).
    fn sent<T: DeserializeOwned>(self, topic: &str) -> Result<Vec<SentMessage<T>>> {
        let sent = self.sent_messages(topic)?.into_iter();
        sent.map(|message| {
            let payload = message.payload.decode(topic)?;
            Ok(message.with_payload(payload))
        })
        .collect()
    }

    /// Returns the first message of a topic that fits `T` and that `matches` says yes to.
    ///
    /// # Errors
    /// The same as [`sent_messages`](Self::sent_messages).
    fn find_sent<T: DeserializeOwned>(
        self,
        topic: &str,
        matches: impl Fn(&SentMessage<T>) -> bool,
    ) -> Result<Option<SentMessage<T>>> {
        Ok(first(&self.sent_messages(topic)?, matches))
    }

    /// Returns how many messages a topic has.
    ///
    /// # Errors
    /// The same as [`sent_messages`](Self::sent_messages).
    fn sent_count(self, topic: &str) -> Result<usize> {
        Ok(self.sent_messages(topic)?.len())
    }

    /// Asserts that a message was sent whose payload fits `T` and `matches`, and returns the first.
    #[track_caller]
    fn assert_sent<T: DeserializeOwned>(
        self,
        topic: &str,
        matches: impl Fn(&T) -> bool,
    ) -> SentMessage<T> {
        self.assert_sent_message(topic, |message| matches(&message.payload))
    }

    /// Asserts the same of the whole message: its headers, key, priority, and when it is due.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use outtray::{NewMessage, testing::{AssertSent, TestDatabase}};
    /// # use std::time::Duration;
    /// # let database = TestDatabase::new()?;
    /// # let messaging = database.messaging();
    /// let day = Duration::from_secs(86_400);
    /// let mail = NewMessage::json("mails", "how was it?")?;
    /// messaging.send(mail.delay(3 * day).header("lang", "en"))?;
    /// messaging.assert_sent_message::<String>("mails", |mail| {
    ///     mail.due_in > Some(2 * day) && mail.header("lang") == Some("en")
    /// });
    /// # Ok(()) }
    /// ```
    #[track_caller]
    fn assert_sent_message<T: DeserializeOwned>(
        self,
        topic: &str,
        matches: impl Fn(&SentMessage<T>) -> bool,
    ) -> SentMessage<T> {
        let sent = seen(topic, self.sent_messages(topic));
        match first(&sent, matches) {
            Some(found) => found,
            None => panic!("{}", none_of::<T>(topic, &sent)),
        }
    }

    /// Asserts that no message was sent whose payload fits `T` and `matches`.
    #[track_caller]
    fn assert_not_sent<T: DeserializeOwned>(self, topic: &str, matches: impl Fn(&T) -> bool) {
        let sent = seen(topic, self.sent_messages(topic));
        if let Some(found) = first(&sent, |message: &SentMessage<T>| matches(&message.payload)) {
            panic!("{}", some_of(topic, &sent, found.id));
        }
    }

    /// Asserts that a topic has so many messages.
    #[track_caller]
    fn assert_sent_count(self, topic: &str, count: usize) {
        let sent = seen(topic, self.sent_messages(topic));
        assert!(
            sent.len() == count,
            "topic {topic} has {} messages, not {count}:{}",
            sent.len(),
            ShownMessages(&sent)
        );
    }

    /// Asserts that a topic has no message.
    #[track_caller]
    fn assert_nothing_sent(self, topic: &str) {
        self.assert_sent_count(topic, 0);
    }
}

/// What looks at topics. Not for users.
#[doc(hidden)]
pub trait SentView {
    /// Returns the messages of a topic.
    fn sent(&mut self, topic: &str) -> Result<Vec<SentMessage>>;
}

struct RunView<'r>(&'r mut dyn Run);

impl SentView for RunView<'_> {
    fn sent(&mut self, topic: &str) -> Result<Vec<SentMessage>> {
        topic::check(topic)?;
        if let Some(kept) = log_stats::newest(self.0, topic, MOST)? {
            return Ok(kept
                .into_iter()
                .map(|one| SentMessage::waiting(topic, one))
                .collect());
        }
        let ready = peek::peek(self.0, topic, MOST)?;
        let later = scheduled::peek(self.0, topic, MOST)?;
        let later = later
            .into_iter()
            // Those are among the first, too.
            .filter(|one| one.reason != WaitReason::Leased);
        let ready = ready
            .into_iter()
            .map(|one| SentMessage::waiting(topic, one));
        Ok(ready
            .chain(later.map(|one| SentMessage::due(topic, one)))
            .collect())
    }
}

impl AssertSent for &Messaging {
    fn look_at_sent<R>(self, look: impl FnOnce(&mut dyn SentView) -> Result<R>) -> Result<R> {
        self.in_order(|run| look(&mut RunView(run)))
    }
}

impl AssertSent for &mut MessagingSession<'_> {
    fn look_at_sent<R>(self, look: impl FnOnce(&mut dyn SentView) -> Result<R>) -> Result<R> {
        MessagingSession::look_at_sent(self, |run| look(&mut RunView(run)))
    }
}

/// Returns the first that fits and matches.
fn first<T: DeserializeOwned>(
    sent: &[SentMessage],
    matches: impl Fn(&SentMessage<T>) -> bool,
) -> Option<SentMessage<T>> {
    sent.iter().find_map(|message| {
        let payload = message.payload.decode(&message.topic).ok()?;
        let message = message.clone().with_payload(payload);
        matches(&message).then_some(message)
    })
}

#[track_caller]
fn seen(topic: &str, sent: Result<Vec<SentMessage>>) -> Vec<SentMessage> {
    match sent {
        Ok(sent) => sent,
        Err(error) => panic!(
            "cannot look at topic {topic}: {}",
            crate::words::chain(&error)
        ),
    }
}
