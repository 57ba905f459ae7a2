//! A sent message, with everything that its topic says, until it is stored.

use crate::words::message::MessageId;
use crate::words::new_message::{NewMessage, ReadyWhen};
use crate::words::outcome::OnEnd;
use crate::words::rare::Remembered;
use crate::words::topic_config::TopicConfig;

/// A message that was sent, on its way to be stored.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Made before any SQL, so that it is known whatever becomes of the transaction.
    pub(crate) id: MessageId,
    pub(crate) message: NewMessage,
    pub(crate) on_end: OnEnd,
}

impl Outgoing {
    /// Gives a message its id, and what it leaves to its topic.
    pub(crate) fn new(mut message: NewMessage, config: Option<&TopicConfig>) -> Self {
        let mut on_end = OnEnd::default();
        if message.rare.tracked_for.is_some() {
            on_end = on_end.with(OnEnd::TRACKED);
        }
        if let Some((_, Remembered::UntilEnd)) = message.rare.dedupe {
            on_end = on_end.with(OnEnd::UNIQUE);
        }
        if let Some(config) = config {
            message.start = message.start.or(config.delay.map(ReadyWhen::After));
            if message.rare.expires_in.is_none() && config.expires_in.is_some() {
                message.rare.expires_in = config.expires_in;
            }
            if config.max_length.is_some() {
                on_end = on_end.with(OnEnd::BOUNDED);
            }
        }
        Outgoing {
            id: MessageId::new(),
            message,
            on_end,
        }
    }

    /// Returns whether it is to be claimed as soon as it is stored.
    pub(crate) fn is_ready(&self) -> bool {
        self.message.start.is_none_or(ReadyWhen::is_now) && self.message.rare.after.is_empty()
    }

    /// Returns whether something has to be asked of the database before it is kept.
    pub(crate) fn is_asking(&self) -> bool {
        self.message.rare.dedupe.is_some() || self.on_end.has(OnEnd::BOUNDED)
    }

    /// Returns whether it is one of a key.
    pub(crate) fn is_keyed(&self) -> bool {
        self.message.rare.key.is_some()
    }

    /// Returns whether it is one of a key and waits for a time, which may be past.
    pub(crate) fn waits_with_key(&self) -> bool {
        self.is_keyed()
            && matches!(self.message.start, Some(ReadyWhen::At(_)))
            && self.message.rare.after.is_empty()
    }

    /// Returns whether the time that it waits for is past, now being so many microseconds after
    /// 1970.
    pub(crate) fn is_past(&self, now_us: i64) -> bool {
        matches!(self.message.start, Some(ReadyWhen::At(at_us)) if at_us <= now_us)
    }

    /// Returns whether it is ready and has none of the options that cost more.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain_but_for(OnEnd::default())
    }

    /// Returns whether it would be plain if its end did not matter in this way.
    pub(crate) fn is_plain_but_for(&self, on_end: OnEnd) -> bool {
        self.is_ready()
            && self.message.rare.key.is_none()
            && self.message.rare.expires_in.is_none()
            && (self.on_end == OnEnd::default() || self.on_end == on_end)
    }
}
