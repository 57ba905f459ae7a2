//! A sent message, with everything that its topic says, until it is stored.

use crate::words::cause::Carried;
use crate::words::error::{Error, Result};
use crate::words::message::MessageId;
use crate::words::new_message::{NewMessage, ReadyWhen};
use crate::words::outcome::OnEnd;
use crate::words::rare::Remembered;
use crate::words::topic_config::TopicConfig;
use crate::words::topic_kind::TopicKind;
use std::sync::Arc;

/// A message that was sent, on its way to be stored.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Made before any SQL, so that it is known whatever becomes of the transaction.
    pub(crate) id: MessageId,
    pub(crate) message: NewMessage,
    pub(crate) on_end: OnEnd,
    /// Whether its topic is a log.
    pub(crate) is_entry: bool,
    /// The headers that it gets from the message in work, beside its own.
    pub(crate) carried: Option<Arc<Carried>>,
}

impl Outgoing {
    /// Gives a message its id, and what it leaves to its topic.
    pub(crate) fn new(mut message: NewMessage, config: Option<&TopicConfig>) -> Self {
        let mut on_end = OnEnd::default();
        if message.rare.tracked_for.is_some() {
            on_end = on_end.with(OnEnd::TRACKED);
        }
        if message.rare.is_fleeting {
            on_end = on_end.with(OnEnd::FLEETING);
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
            is_entry: config.is_some_and(|config| config.kind == TopicKind::Log),
            carried: None,
        }
    }

    /// Returns whether it is to be claimed as soon as it is stored.
    pub(crate) fn is_ready(&self) -> bool {
        self.message.start.is_none_or(ReadyWhen::is_now) && self.message.rare.after.is_empty()
    }

    /// Checks that a message to a log asks for nothing that logs do not have.
    ///
    /// # Errors
    /// `Invalid`, naming the option.
    pub(crate) fn check_entry(&self) -> Result<()> {
        if !self.is_entry {
            return Ok(());
        }
        let (message, rare) = (&self.message, &self.message.rare);
        let waits_for_end = matches!(rare.dedupe, Some((_, Remembered::UntilEnd)));
        let has_options = [
            (message.priority != 0, "a priority"),
            (rare.expires_in.is_some(), "an expiry"),
            (rare.tracked_for.is_some(), "tracking, since it never ends"),
            (
                waits_for_end,
                "a dedupe key until its end, since it never ends: give it a window",
            ),
            (!rare.after.is_empty(), "others that it comes after"),
            (
                !self.is_ready() && rare.key.is_some(),
                "both a key and a delay",
            ),
        ];
        match has_options.iter().find(|(is_asked, _)| *is_asked) {
            None => Ok(()),
            Some((_, what)) => {
                let topic = &message.topic;
                let text = format!("topic {topic} is a log: a message to it cannot have {what}");
                Err(Error::invalid(text))
            }
        }
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
