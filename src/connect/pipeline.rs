//! What goes to the server instead of the driver's text query.
//!
//! The driver sends several statements in one round trip only as one text, which the server's log
//! quotes when it refuses one of them. So the driver is given a placeholder text for the flight,
//! and the stream under it, which knows the flight's requests, sends those instead. From the
//! server's answers the driver gets what a text query would get: rows, command tags, the first
//! error, and one end. Only this module and `wired` know about it.
//!
//! When a statement fails, the server skips the ones after it, as in a text query.

use crate::db::protocol::{message, text};
use std::collections::VecDeque;
use tokio::io::ReadBuf;

/// The text that stands for a flight. Should it ever get to a server, it is refused.
pub(crate) const STAND_IN: &str = "a flight of outtray";

/// How the driver begins a transaction of which nothing else was said.
const DRIVERS_BEGIN: &str = "START TRANSACTION";

/// The statements of a flight in messages of the protocol. The server answers them with one end.
#[derive(Debug)]
pub(crate) struct ProtocolFlight(pub(crate) Vec<u8>);

impl ProtocolFlight {
    /// Puts itself where the driver sends its stand-in; `None` where it does not. Returns what is
    /// to be sent, and where in that it begins.
    pub(crate) fn put_into(&self, sent: &[u8]) -> Option<(Vec<u8>, usize)> {
        let stand_in = stand_in();
        let at = sent
            .windows(stand_in.len())
            .position(|window| window == stand_in)?;
        let after = &sent[at + stand_in.len()..];
        Some(([&sent[..at], &self.0, after].concat(), at))
    }
}

/// What goes instead of something else on one connection, and what the driver hears of it.
#[derive(Debug, Default)]
pub(crate) struct Detour {
    /// What is still to be sent.
    going: Vec<u8>,
    /// How much of that went.
    gone: usize,
    answers: VecDeque<Answers>,
    /// What the driver is still to hear.
    heard: Vec<u8>,
    /// How much of that it heard.
    given: usize,
}

impl Detour {
    /// Begins with what is to be sent, where so many answers are owed to others before.
    pub(crate) fn begin(&mut self, going: Vec<u8>, owed: u64) {
        let known: u64 = self.answers.iter().map(Answers::owed).sum();
        let before = owed.saturating_sub(known);
        self.answers.push_back(Answers::after(before));
        (self.going, self.gone) = (going, 0);
    }

    /// Returns the bytes to be sent next; `None` once all were sent.
    pub(crate) fn going(&self) -> Option<&[u8]> {
        Some(&self.going[self.gone..]).filter(|bytes| !bytes.is_empty())
    }

    /// Notes that so much went. Nothing of it stays then: it may be large, and the connection idle.
    pub(crate) fn went(&mut self, length: usize) {
        self.gone += length;
        if self.gone == self.going.len() {
            (self.going, self.gone) = (Vec::new(), 0);
        }
    }

    /// Returns whether the driver hears the server as it speaks.
    pub(crate) fn is_over(&self) -> bool {
        self.answers.is_empty() && self.heard.is_empty()
    }

    /// Takes what the server says.
    pub(crate) fn hear(&mut self, mut said: &[u8]) {
        self.heard.reserve(said.len());
        while let Some(answers) = self.answers.front_mut().filter(|_| !said.is_empty()) {
            said = answers.take(said, &mut self.heard);
            if answers.is_over {
                self.answers.pop_front();
            }
        }
        self.heard.extend_from_slice(said);
    }

    /// Tells the driver that a transaction has begun.
    pub(crate) fn say_begun(&mut self) {
        message(&mut self.heard, b'C', |body| text(body, "BEGIN"));
        // In a transaction.
        message(&mut self.heard, b'Z', |body| body.push(b'T'));
    }

    /// Gives the driver what it is still to hear, as much as it takes. Returns whether that was
    /// anything.
    pub(crate) fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let left = &self.heard[self.given..];
        let length = buffer.remaining().min(left.len());
        buffer.put_slice(&left[..length]);
        self.given += length;
        if self.given == self.heard.len() {
            self.heard.clear();
            self.given = 0;
        }
        length > 0
    }
}

/// Returns whether what the driver sends is the beginning of a transaction, and nothing else.
pub(crate) fn is_begin(sent: &[u8]) -> bool {
    let mut begin = Vec::new();
    message(&mut begin, b'Q', |body| text(body, DRIVERS_BEGIN));
    sent == begin
}

fn stand_in() -> Vec<u8> {
    let mut query = Vec::new();
    message(&mut query, b'Q', |body| text(body, STAND_IN));
    query
}

/// Turns the answers to the statements of a flight into those to one text query.
#[derive(Debug)]
struct Answers {
    /// Ends of what was asked before.
    before: u64,
    is_over: bool,
    /// The type and length of the message at hand, as far as they are there.
    head: Vec<u8>,
    /// What of its content is still to come.
    rest: usize,
    is_passing: bool,
    /// The last command tag, as a message.
    tag: Vec<u8>,
}

impl Answers {
    /// Those that come after so many ends of others.
    fn after(before: u64) -> Self {
        Answers {
            before,
            is_over: false,
            head: Vec::with_capacity(5),
            rest: 0,
            is_passing: false,
            tag: Vec::new(),
        }
    }

    /// Takes what the server says, and adds to `heard` what the driver is to hear. Returns what
    /// comes after the last end.
    fn take<'s>(&mut self, mut said: &'s [u8], heard: &mut Vec<u8>) -> &'s [u8] {
        while !said.is_empty() && !self.is_over {
            if self.head.len() < 5 {
                let missing = 5 - self.head.len();
                let (head, left) = said.split_at(missing.min(said.len()));
                self.head.extend_from_slice(head);
                said = left;
                let &[kind, a, b, c, d] = self.head.as_slice() else {
                    break;
                };
                let length = usize::try_from(u32::from_be_bytes([a, b, c, d]));
                // The length counts itself.
                self.rest = length.unwrap_or(usize::MAX).saturating_sub(4);
                self.begin(kind, heard);
            }
            let (body, left) = said.split_at(self.rest.min(said.len()));
            if self.is_passing {
                heard.extend_from_slice(body);
            } else if self.head[0] == b'C' {
                self.tag.extend_from_slice(body);
            }
            self.rest -= body.len();
            said = left;
            if self.rest == 0 {
                self.end();
            }
        }
        said
    }

    /// Returns how many ends are still to come.
    fn owed(&self) -> u64 {
        self.before + u64::from(!self.is_over)
    }

    /// Begins with a message, and decides whether the driver is to hear it.
    fn begin(&mut self, kind: u8, heard: &mut Vec<u8>) {
        // Parsed, bound, closed, no rows, ready for those of a COPY: a text query is not told. A
        // tag waits for the next one.
        let is_told = !matches!(kind, b'1' | b'2' | b'3' | b'n' | b'G' | b'C');
        self.is_passing = self.before > 0 || is_told;
        match kind {
            _ if self.before > 0 => {}
            b'C' => self.tag.clone_from(&self.head),
            b'E' => self.tag.clear(),
            b'Z' => heard.append(&mut self.tag),
            _ => {}
        }
        if self.is_passing {
            heard.extend_from_slice(&self.head);
        }
    }

    fn end(&mut self) {
        let kind = self.head.first().copied();
        self.head.clear();
        match kind {
            Some(b'Z') if self.before > 0 => self.before -= 1,
            Some(b'Z') => self.is_over = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        message(&mut bytes, kind, |content| content.extend_from_slice(body));
        bytes
    }

    fn said(kinds: &str) -> Vec<u8> {
        kinds
            .bytes()
            .flat_map(|kind| one(kind, &[b'x'; 3]))
            .collect()
    }

    #[track_caller]
    fn check(before: u64, answered: &str, expected: &str) {
        let all = said(answered);
        for size in 1..all.len() {
            let mut answers = Answers::after(before);
            let mut heard = Vec::new();
            for piece in all.chunks(size) {
                let left = answers.take(piece, &mut heard).to_owned();
                heard.extend(left);
            }
            assert_eq!(heard, said(expected), "in pieces of {size}");
        }
    }

    #[test]
    fn the_answers_are_heard_as_those_to_a_text_with_the_last_tag_alone() {
        check(0, "12nC2TDDCZ", "TDDCZ");
        check(0, "12nC2TDDC2nCZ", "TDDCZ");
        check(0, "12C2EZ", "EZ");
        check(0, "1EZ", "EZ");
        check(0, "2GC2CZ", "CZ");
        // What comes before and after belongs to others.
        check(0, "1CZ1CZE", "CZ1CZE");
        check(2, "1CZ2CZ12CZ", "1CZ2CZCZ");
    }

    #[test]
    fn what_has_gone_takes_no_memory() {
        let mut detour = Detour::default();
        detour.begin(vec![b'x'; 3], 0);

        detour.went(2);
        assert_eq!(detour.going(), Some(&b"x"[..]));
        detour.went(1);

        assert_eq!(detour.going(), None);
        assert_eq!(detour.going.capacity(), 0);
    }

    #[test]
    fn the_beginning_of_a_transaction_is_known() {
        assert!(is_begin(b"Q\0\0\0\x16START TRANSACTION\0"));
        assert!(!is_begin(b"Q\0\0\0\x0bCOMMIT\0"));
        assert!(!is_begin(b"S\0\0\0\x04Q\0\0\0\x16START TRANSACTION\0"));
    }

    #[test]
    fn a_flight_goes_where_its_stand_in_stands() {
        let instead = ProtocolFlight(one(b'S', b""));
        let (before, after) = (one(b'S', b""), one(b'X', b""));

        let (bytes, at) = instead
            .put_into(&[before.clone(), stand_in(), after.clone()].concat())
            .unwrap();

        assert_eq!(at, before.len());
        assert_eq!(bytes, [before, instead.0.clone(), after].concat());
        assert!(instead.put_into(b"S\0\0\0\x04").is_none());
    }
}
