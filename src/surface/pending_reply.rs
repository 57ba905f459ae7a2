//! Questions that were asked, as whoever asked has them.

use crate::message::claimed::Claimed;
use crate::receive::handler::Attempt;
use crate::receive::options::Options;
use crate::request::questions::{Passed, Registered};
use crate::request::{IS_ERROR, LAST_LOOK, REPLY_STATUS, left};
use crate::surface::messaging::Messaging;
use crate::wake::interrupt::Wait;
use crate::words::envelope::CORRELATION_ID;
use crate::words::{
    CancelToken, Error, ErrorKind, Filter, Headers, Message, MessageId, Payload, Result,
};
use crossbeam_channel::RecvTimeoutError;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::{Duration, Instant};

/// The longest text of an error that a replier sent; the rest is cut.
const LONGEST_TEXT: usize = 8 * 1024;

/// A question that was sent, and waits for its reply. Dropping it drops the reply, too.
#[must_use = "the reply is dropped with it"]
pub struct PendingReply {
    pub(super) messaging: Messaging,
    pub(super) id: MessageId,
    /// Where the question went.
    pub(super) topic: String,
    pub(super) way: Way,
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
}

/// How a reply comes.
pub(super) enum Way {
    /// Not at all: there is no time, or it has come.
    Nothing,
    Inbox(Registered),
    /// To a topic of the caller's.
    Own(String),
}

impl PendingReply {
    /// Returns the id of the request, which its handler sees as [`Message::id`].
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// Waits for the reply, for at most this long, and never longer than the time that the request
    /// was given. After a `Timeout` or an interrupt it may be called again, as long as that time
    /// lasts; a reply is returned once.
    ///
    /// # Errors
    /// Those of [`Messaging::request`] that concern waiting.
    pub fn wait<R: DeserializeOwned>(&mut self, timeout: impl Into<Wait>) -> Result<Message<R>> {
        let wait = timeout.into();
        match &self.way {
            Way::Nothing => Err(self.timed_out()),
            Way::Inbox(_) => self.wait_for_inbox(&wait),
            Way::Own(_) => self.wait_for_own(&wait),
        }
    }

    fn wait_for_inbox<R: DeserializeOwned>(&mut self, wait: &Wait) -> Result<Message<R>> {
        let Way::Inbox(Registered { inbox, answer }) = &self.way else {
            return Err(self.timed_out());
        };
        let until = wait.deadline().min(self.deadline);
        let mut told = wait.until(answer, until)?;
        if matches!(told, Err(RecvTimeoutError::Timeout)) {
            if until < self.deadline {
                return Err(self.timed_out());
            }
            inbox.station.ring(1);
            told = wait.until(answer, until + LAST_LOOK)?;
        }
        let topic = inbox.topic.clone();
        self.leave();
        match told {
            Ok(Passed::Reply(reply)) => self.read(&topic, &reply),
            Ok(Passed::TimedOut) | Err(RecvTimeoutError::Timeout) => Err(self.timed_out()),
            Err(RecvTimeoutError::Disconnected) => Err(self.lost()),
        }
    }

    /// Waits no more.
    fn leave(&mut self) {
        if let Way::Inbox(_) = std::mem::replace(&mut self.way, Way::Nothing) {
            self.messaging.requests().questions.forget(self.id.0);
        }
    }

    fn read<R: DeserializeOwned>(&self, topic: &str, reply: &Claimed) -> Result<Message<R>> {
        self.refused(&reply.headers, &reply.content)?;
        if let Some(error) = &reply.unreadable {
            let text = format!("the reply to request {} cannot be read: {error}", self.id);
            return Err(Error::new(ErrorKind::Payload, text));
        }
        let terms = Options::default().terms(None);
        let attempt = Attempt::of(topic, reply, 0, &terms, CancelToken::default());
        attempt.incoming().decode()
    }

    /// Takes the reply from a topic of the caller's.
    fn wait_for_own<R: DeserializeOwned>(&mut self, wait: &Wait) -> Result<Message<R>> {
        let Way::Own(topic) = &self.way else {
            return Err(self.timed_out());
        };
        let topics = [topic.as_str()];
        let mine = Filter::new().equals(CORRELATION_ID, self.id.to_string());
        let replies = self.messaging.matching(&topics, mine);
        let wait = wait.at_most(left(self.deadline));
        let reply = replies.receive_timeout::<Payload>(wait, None)?;
        let reply = reply.ok_or_else(|| self.timed_out())?;
        if let Err(error) = self.refused(&reply.headers, &reply.payload) {
            let _ = reply.ack();
            self.way = Way::Nothing;
            return Err(error);
        }
        // One that does not fit goes back to its place, by being dropped.
        let decoded = reply.payload.decode(&reply.topic)?;
        // The answer is here whatever comes of that: one that stays comes late, for nobody.
        let _ = reply.ack();
        let (message, _) = reply.into_parts();
        self.way = Way::Nothing;
        Ok(message.with_payload(decoded))
    }

    /// Returns the error of a reply that says that there is no answer.
    fn refused(&self, headers: &Headers, content: &Payload) -> Result<()> {
        if headers.get(REPLY_STATUS).map(String::as_str) != Some(IS_ERROR) {
            return Ok(());
        }
        let why = content.decode::<String>(&self.topic);
        let why = why.unwrap_or_else(|_| content.to_string());
        let why: String = why.chars().take(LONGEST_TEXT).collect();
        let text = format!("topic {} refused request {}: {why}", self.topic, self.id);
        Err(Error::new(ErrorKind::Refused, text))
    }

    fn lost(&self) -> Error {
        let PendingReply { id, topic, .. } = self;
        let text = format!(
            "request {id} on topic {topic}: the topic for its reply was removed by others, who had not heard of this \
             process"
        );
        Error::new(ErrorKind::Unavailable, text)
    }

    pub(super) fn timed_out(&self) -> Error {
        let PendingReply {
            id, topic, timeout, ..
        } = self;
        let text = format!("no reply to request {id} on topic {topic} came within {timeout:?}");
        Error::new(ErrorKind::Timeout, text)
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for PendingReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingReply")
            .field("id", &self.id)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
