//! The caller's closure over entries, with its payload type erased.

use crate::log::entry::EntryRow;
use crate::receive::handler::{Ending, caught};
use crate::session::messaging_session::MessagingSession;
use crate::words::handler_error::HandlerError;
use crate::words::message::Message;
use crate::words::panics::discard;
use serde::de::DeserializeOwned;

/// How a call of a closure over entries ended.
pub(crate) struct EntriesEnded {
    /// How it ended for all that it was given.
    pub(crate) whole: Ending,
    /// Entries that it was not given, by their places in the call, and why.
    pub(crate) unfit: Vec<(usize, Ending)>,
}

/// A closure over some entries of a log, which all lanes of a reader call. Never panics.
pub(crate) type EntryHandler =
    dyn Fn(&mut MessagingSession<'_>, &[&EntryRow]) -> EntriesEnded + Send + Sync;

/// Decodes, and runs a closure over what could be decoded.
pub(crate) fn run<T, F>(
    handler: &F,
    topic: &str,
    max_attempts: u32,
    session: &mut MessagingSession<'_>,
    entries: &[&EntryRow],
) -> EntriesEnded
where
    T: DeserializeOwned,
    F: Fn(&mut MessagingSession<'_>, &[Message<T>]) -> Result<(), HandlerError>,
{
    let mut unfit = Vec::new();
    let mut messages = Vec::with_capacity(entries.len());
    for (place, entry) in entries.iter().enumerate() {
        let decoded = caught(|| match entry.message(topic, 1, max_attempts) {
            Ok(message) => {
                messages.push(message);
                Ending::Done
            }
            Err(error) => Ending::Undecodable(error),
        });
        if !matches!(decoded, Ending::Done) {
            unfit.push((place, decoded));
        }
    }
    let whole = match messages.is_empty() {
        true => Ending::Done,
        false => caught(|| match handler(session, &messages) {
            Ok(()) => Ending::Done,
            Err(error) => Ending::failed(&error),
        }),
    };
    // What is done stays done, however its payloads go.
    discard(messages);
    EntriesEnded { whole, unfit }
}
