//! Stores messages for one topic, or for whoever subscribed to one routing key.

use crate::failure::CommandFailure;
use crate::global::Global;
use outtray::{ErrorKind, Headers, MessageId, Messaging, MessagingSession, NewMessage, Sent};

/// Where messages go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Destination<'o> {
    Topic(&'o str),
    /// To whoever subscribed to this routing key.
    Subscribers {
        key: &'o str,
        /// Whether there has to be somebody.
        is_mandatory: bool,
    },
}

impl Destination<'_> {
    /// Returns the topic or the key.
    pub(crate) fn name(&self) -> &str {
        match self {
            Destination::Topic(name) | Destination::Subscribers { key: name, .. } => name,
        }
    }

    /// Returns the commands' words for what it does: done, and to do.
    pub(crate) fn words(&self) -> [&'static str; 2] {
        match self {
            Destination::Topic(_) => ["sent", "send"],
            Destination::Subscribers { .. } => ["published", "publish"],
        }
    }
}

/// Why messages were not stored.
#[derive(Debug)]
pub(crate) struct Unsent {
    /// The index of the message at fault, if it is one of them.
    pub(crate) at: Option<usize>,
    /// Whether they may have been stored all the same.
    pub(crate) is_unknown: bool,
    pub(crate) failure: CommandFailure,
}

/// What was stored.
pub(crate) struct StoredMessages {
    /// The ids of what is new: of messages, or of copies.
    pub(crate) ids: Vec<MessageId>,
    /// What was there before, of messages that were sent.
    pub(crate) earlier: Vec<MessageId>,
    pub(crate) duplicates: u64,
    /// How many copies there are of what was published.
    pub(crate) copies: Option<u64>,
}

/// Stores messages for one topic, or for whoever subscribed to one key.
pub(crate) struct Sender<'o> {
    messaging: Messaging,
    destination: Destination<'o>,
}

impl<'o> Sender<'o> {
    /// Connects, and sees that the name and the schema are right before anything is read.
    pub(crate) fn connect(
        destination: Destination<'o>,
        global: &Global,
    ) -> Result<Self, CommandFailure> {
        let messaging = global.connect()?;
        match destination {
            Destination::Topic(topic) => drop(messaging.topic(topic).is_empty()?),
            Destination::Subscribers { key, .. } => {
                messaging.publish_dry_run(key, &Headers::new())?;
            }
        }
        Ok(Sender {
            messaging,
            destination,
        })
    }

    /// Stores all messages or none.
    pub(crate) fn store(
        &self,
        messages: Vec<NewMessage>,
        is_deduping: bool,
    ) -> Result<StoredMessages, Unsent> {
        let mut at = None;
        let stored = self.messaging.session(|session| {
            for (index, message) in messages.iter().enumerate() {
                session.check(message).inspect_err(|_| at = Some(index))?;
            }
            if let Destination::Subscribers { key, is_mandatory } = self.destination {
                return Ok(publish_all(session, key, is_mandatory, messages, &mut at)?);
            }
            let sent = match is_deduping {
                // Together: one by one each would cost a round trip.
                true => session.send_all(messages)?,
                false => {
                    let sent = messages.into_iter().map(|message| session.send(message));
                    sent.collect::<outtray::Result<_>>()?
                }
            };
            let (new, earlier): (Vec<Sent>, Vec<Sent>) =
                sent.into_iter().partition(|sent| !sent.is_duplicate());
            Ok(StoredMessages {
                duplicates: earlier.len() as u64,
                ids: new.into_iter().map(Sent::id).collect(),
                earlier: earlier.into_iter().map(Sent::id).collect(),
                copies: None,
            })
        });
        stored.map_err(|error| {
            let is_unknown = error.kind() == ErrorKind::OutcomeUnknown;
            let failure = match error.kind() {
                // What it comes after is not as it has to be, which nobody can see by what was
                // typed.
                ErrorKind::Invalid if at.is_none() => CommandFailure::failed(error.to_string()),
                _ => CommandFailure::from(error),
            };
            Unsent {
                at,
                is_unknown,
                failure,
            }
        })
    }
}

/// Publishes messages; `at` says which one it failed at.
fn publish_all(
    session: &mut MessagingSession<'_>,
    key: &str,
    is_mandatory: bool,
    messages: Vec<NewMessage>,
    at: &mut Option<usize>,
) -> outtray::Result<StoredMessages> {
    let (mut ids, mut duplicates) = (Vec::new(), 0);
    for (index, message) in messages.into_iter().enumerate() {
        let message = match is_mandatory {
            true => message.mandatory(),
            false => message,
        };
        let published = session.publish_message(key, message);
        let published = published.inspect_err(|_| *at = Some(index))?;
        duplicates += published.duplicates;
        ids.extend(published.ids);
    }
    Ok(StoredMessages {
        copies: Some(ids.len() as u64),
        duplicates: duplicates as u64,
        earlier: Vec::new(),
        ids,
    })
}
