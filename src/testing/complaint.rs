//! What a failed assertion says: what was sent instead.

use crate::testing::sent_message::SentMessage;
use crate::words::error::chain;
use crate::words::{MessageId, Payload};
use serde::de::DeserializeOwned;
use std::any::type_name;
use std::fmt;

/// Messages that are shown, and characters of a payload or of a header.
const MOST_SHOWN: usize = 20;
const LONGEST: usize = 300;

/// Shows messages, one a line.
pub(crate) struct ShownMessages<'s>(pub(crate) &'s [SentMessage]);

impl fmt::Display for ShownMessages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(" none");
        }
        for (number, message) in (1..).zip(self.0.iter().take(MOST_SHOWN)) {
            write!(f, "\n  {number}. {}", ShownMessage(message))?;
        }
        match self.0.len().checked_sub(MOST_SHOWN) {
            Some(more @ 1..) => write!(f, "\n  … and {more} more"),
            _ => Ok(()),
        }
    }
}

/// Shows one message.
struct ShownMessage<'s>(&'s SentMessage);

impl fmt::Display for ShownMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.0;
        f.write_str(&shortened(&message.payload.to_string()))?;
        if let Some(due_in) = message.due_in {
            write!(f, ", due in {due_in:.1?}")?;
        }
        if !message.after.is_empty() {
            write!(f, ", after {} others", message.after.len())?;
        }
        if let Some(key) = &message.key {
            write!(f, ", key {key:?}")?;
        }
        if message.priority != 0 {
            write!(f, ", priority {}", message.priority)?;
        }
        if let Some(error) = &message.error {
            let error = shortened(error);
            write!(f, ", failed {} times: {error}", message.attempts)?;
        }
        for (name, value) in &message.headers {
            write!(f, ", header {name}: {}", shortened(value))?;
        }
        write!(f, " ({})", message.id)
    }
}

/// Says that no message matches, and why some could not.
pub(crate) fn none_of<T: DeserializeOwned>(topic: &str, sent: &[SentMessage]) -> String {
    let unfit = sent.iter().find_map(|message| {
        let decoded: Result<T, _> = Payload::decode(&message.payload, topic);
        decoded.err()
    });
    let unfit = unfit.map_or_else(String::new, |error| {
        format!(
            "\n  not every payload is a {}: {}",
            type_name::<T>(),
            chain(&error)
        )
    });
    let count = sent.len();
    format!(
        "no message of topic {topic} matches, of {count} that are there:{}{unfit}",
        ShownMessages(sent)
    )
}

/// Says that a message matches that none should.
pub(crate) fn some_of(topic: &str, sent: &[SentMessage], found: MessageId) -> String {
    let place = sent.iter().position(|message| message.id == found);
    let number = place.map_or(1, |place| place + 1);
    let count = sent.len();
    format!(
        "message {number} of topic {topic} matches, of {count} that are there:{}",
        ShownMessages(sent)
    )
}

/// Returns a text on one line, cut where it is too long.
fn shortened(text: &str) -> String {
    let text = text.replace('\n', " ");
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = "ä".repeat(LONGEST + 1);

        assert_eq!(shortened("a\nb"), "a b");
        assert_eq!(
            shortened(&text),
            format!("{}… (602 bytes)", "ä".repeat(LONGEST))
        );
    }
}
