//! What a client says to the server, taken apart into messages of PostgreSQL's protocol, and which
//! step each of them asks for.

use crate::db::Statement;
use crate::db::commands::COMMIT;
use crate::leases::LEASE;
use crate::receive::transaction::claim::{CLAIM, CLAIM_FILTERED, CLAIM_HEAD};
use crate::schema::name::SchemaName;
use crate::testing::proxy::step::Step;
use std::collections::HashMap;

/// The statements that take messages.
static CLAIMS: [&Statement; 4] = [&CLAIM, &CLAIM_FILTERED, &CLAIM_HEAD, &LEASE];

/// What one client says.
#[derive(Default)]
pub(crate) struct Conversation {
    /// What was read and is no whole message yet.
    rest: Vec<u8>,
    /// Whether the messages of the beginning, which have no kind, are over.
    has_started: bool,
    /// Whether it is encrypted: then nothing can be read.
    is_opaque: bool,
    /// The texts of prepared statements by their names.
    prepared: HashMap<Vec<u8>, Vec<u8>>,
}

/// A whole message, or bytes that cannot be read.
pub(crate) struct ClientMessage {
    bytes: Vec<u8>,
    /// 0 where it has none.
    kind: u8,
}

impl Conversation {
    /// Takes what was read; returns the messages that are whole now.
    pub(crate) fn hear(&mut self, read: &[u8]) -> Vec<ClientMessage> {
        if self.is_opaque {
            return vec![ClientMessage::opaque(read.to_vec())];
        }
        self.rest.extend_from_slice(read);
        let mut said = Vec::new();
        while let Some(next) = self.next() {
            said.push(next);
        }
        said
    }

    fn next(&mut self) -> Option<ClientMessage> {
        // The beginning of an encrypted conversation.
        if !self.has_started && self.rest.first() == Some(&0x16) {
            self.is_opaque = true;
        }
        if self.is_opaque {
            let bytes = std::mem::take(&mut self.rest);
            return (!bytes.is_empty()).then(|| ClientMessage::opaque(bytes));
        }
        let at = usize::from(self.has_started);
        let length = self.rest.get(at..at + 4)?;
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        let whole = at + usize::try_from(length).ok()?.max(4);
        if self.rest.len() < whole {
            return None;
        }
        let left = self.rest.split_off(whole);
        let bytes = std::mem::replace(&mut self.rest, left);
        if !self.has_started {
            // Version 3 begins; anything else asks for encryption, or to cancel.
            self.has_started = bytes.get(4..6) == Some(&[0, 3]);
            return Some(ClientMessage::opaque(bytes));
        }
        let said = ClientMessage {
            kind: bytes[0],
            bytes,
        };
        self.note_prepared(&said);
        Some(said)
    }

    fn note_prepared(&mut self, said: &ClientMessage) {
        let mut texts = said.texts();
        if said.kind == b'P'
            && let (Some(name), Some(text)) = (texts.next(), texts.next())
        {
            self.prepared.insert(name.to_vec(), text.to_vec());
        }
    }

    /// Returns whether a message asks for a step.
    pub(crate) fn is_at(&self, step: &Step, said: &ClientMessage) -> bool {
        match said.kind {
            // A text with any number of statements.
            b'Q' => self.is_text_at(step, said.texts().next().unwrap_or_default()),
            // Names the portal and then the statement, with its values.
            b'B' => {
                let name = said.texts().nth(1).unwrap_or_default();
                let name = String::from_utf8_lossy(name);
                let text = self.prepared.get(name.as_bytes());
                let text = text.map_or(&[][..], Vec::as_slice);
                match step {
                    Step::Claim => is_claim(&name) || self.is_text_at(step, text),
                    Step::Commit => name == COMMIT.prepared() || self.is_text_at(step, text),
                    Step::Statement(part) => is_in(text, part) || is_in(&said.bytes, part),
                }
            }
            // Rows of a COPY.
            b'd' => matches!(step, Step::Statement(part) if is_in(&said.bytes, part)),
            _ => false,
        }
    }

    fn is_text_at(&self, step: &Step, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        let mut parts = text.split(';').map(str::trim);
        match step {
            Step::Commit => parts.any(|part| part.eq_ignore_ascii_case("commit")),
            Step::Claim => {
                let name = |part: &str| {
                    let name = part.strip_prefix("EXECUTE ")?.split([' ', '(']).next()?;
                    Some(is_claim(name))
                };
                parts.any(|part| name(part) == Some(true))
                    || CLAIMS.iter().any(|claim| is_of(&text, claim))
            }
            Step::Statement(part) => text.contains(part),
        }
    }
}

/// Returns whether a prepared statement takes messages.
fn is_claim(name: &str) -> bool {
    CLAIMS.iter().any(|claim| claim.prepared() == name)
}

/// Returns whether a text is that of a statement, in whichever schema.
fn is_of(text: &str, statement: &Statement) -> bool {
    let usual = SchemaName::parse("outtray").expect("it is a name");
    let placed = statement.text(&usual);
    let mut rest = text;
    placed.split("outtray.").all(|piece| {
        let found = rest.split_once(piece);
        rest = found.map_or("", |(_, after)| after);
        found.is_some()
    })
}

impl ClientMessage {
    fn opaque(bytes: Vec<u8>) -> Self {
        ClientMessage { bytes, kind: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns whether the server answers after this message.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.kind, b'Q' | b'S')
    }

    /// Returns the texts that the message begins with.
    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .get(5..)
            .unwrap_or_default()
            .split(|byte| *byte == 0)
    }
}

fn is_in(said: &[u8], part: &str) -> bool {
    let part = part.as_bytes();
    !part.is_empty() && said.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind], &length.to_be_bytes()[..], body].concat()
    }

    fn started() -> Conversation {
        let mut conversation = Conversation::default();
        let startup = [&9_u32.to_be_bytes()[..], &[0, 3, 0, 0], &[0]].concat();
        assert_eq!(conversation.hear(&startup).len(), 1);
        assert!(conversation.has_started);
        conversation
    }

    #[test]
    fn messages_are_whole_however_they_are_read() {
        let mut conversation = started();
        let all = [message(b'Q', b"SELECT 1\0"), message(b'Q', b"COMMIT\0")].concat();

        let mut said = Vec::new();
        for byte in all.chunks(1) {
            said.extend(conversation.hear(byte));
        }

        assert_eq!(said.len(), 2);
        assert!(!conversation.is_at(&Step::Commit, &said[0]));
        assert!(conversation.is_at(&Step::Commit, &said[1]));
        assert!(said[1].is_answered());
    }

    #[test]
    fn a_prepared_statement_is_known_by_its_text_when_it_runs_and_not_before() {
        let mut conversation = started();
        let said = conversation.hear(&message(b'P', b"s7\0INSERT INTO account\0\0\0"));
        let ran = conversation.hear(&message(b'B', b"\0s7\0\0\0\0\0\0\0"));
        let step = Step::from("INTO account");

        assert!(!conversation.is_at(&step, &said[0]));
        assert!(conversation.is_at(&step, &ran[0]));
        assert!(!conversation.is_at(&Step::Claim, &ran[0]));
    }

    #[test]
    fn the_last_flight_has_a_commit_in_both_forms() {
        let mut conversation = started();
        let text = conversation.hear(&message(b'Q', b"DELETE;\nCOMMIT;\nBEGIN;\n\0"));
        let named = conversation.hear(&message(b'B', b"\0outtray_commit\0\0\0\0\0\0\0"));
        let other = conversation.hear(&message(b'B', b"\0outtray_claim\0\0\0\0\0\0\0"));

        assert!(conversation.is_at(&Step::Commit, &text[0]));
        assert!(conversation.is_at(&Step::Commit, &named[0]));
        assert!(!conversation.is_at(&Step::Commit, &other[0]));
        assert!(conversation.is_at(&Step::Claim, &other[0]));
    }

    #[test]
    fn what_is_encrypted_passes() {
        let mut conversation = Conversation::default();
        let asks = [8_u32.to_be_bytes(), 80_877_103_u32.to_be_bytes()].concat();
        assert_eq!(conversation.hear(&asks)[0].bytes(), asks);

        for hello in [&[0x16, 3, 1][..], &[9, 9]] {
            assert_eq!(conversation.hear(hello)[0].bytes(), hello);
        }
    }
}
