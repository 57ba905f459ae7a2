//! What goes to the server instead of a text query of the driver.
//!
//! The driver sends several statements in one round trip only as one text, which the server's log quotes when it refuses
//! one of them. So the driver is given a text that stands for the flight, and the stream under it, where the flight's requests
//! are known, sends those. Of what the server answers the driver gets what a text query would be answered with: rows, what was
//! done, the first error, and one end. Nobody but this and `wired` knows.
//!
//! Where a request of several fails, the server goes on to the next one. All are of one transaction, which is over then:
//! whatever comes next is refused, until the COMMIT that only ends it. The driver hears the first error.

use crate::connect::bind_values::{Request, Step};
use std::collections::VecDeque;
use tokio::io::ReadBuf;

/// The text that stands for a flight. Should it ever get to a server, it is refused.
pub(crate) const STAND_IN: &str = "a flight of outtray";

/// Requests in the bytes of the protocol.
#[derive(Debug, Default)]
pub(crate) struct Instead {
    bytes: Vec<u8>,
    /// How many ends the server answers them with.
    ends: u64,
}

impl Instead {
    pub(crate) fn of(requests: &[Request]) -> Self {
        let mut instead = Instead::default();
        for request in requests {
            instead.ends += 1;
            match request {
                Request::Text(text) => instead.message(b'Q', |body| text_in(body, text)),
                Request::Apart(steps) => {
                    steps.iter().for_each(|step| instead.step(step));
                    instead.message(b'S', |_| {});
                }
            }
        }
        instead
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Text(text, values) => {
                self.parse("", text);
                self.run("", values);
            }
            Step::Call(name, values) => self.run(name, values),
            Step::Prepare(name, text) => self.parse(name, text),
        }
    }

    fn parse(&mut self, name: &str, text: &str) {
        self.message(b'P', |body| {
            text_in(body, name);
            text_in(body, text);
            // The types are in the casts.
            body.extend(0_i16.to_be_bytes());
        });
    }

    fn run(&mut self, name: &str, values: &[Option<String>]) {
        self.message(b'B', |body| {
            text_in(body, "");
            text_in(body, name);
            // All as text.
            body.extend(0_i16.to_be_bytes());
            // No more than a statement has parameters.
            let count = u16::try_from(values.len()).unwrap_or(u16::MAX);
            body.extend(count.to_be_bytes());
            for value in values {
                let length = value.as_ref().map(|value| i32::try_from(value.len()));
                body.extend(
                    length
                        .map_or(-1, |length| length.unwrap_or(i32::MAX))
                        .to_be_bytes(),
                );
                body.extend(value.iter().flat_map(|value| value.bytes()));
            }
            body.extend(0_i16.to_be_bytes());
        });
        // What rows it returns, which a text query tells too.
        self.message(b'D', |body| {
            body.push(b'P');
            text_in(body, "");
        });
        self.message(b'E', |body| {
            text_in(body, "");
            body.extend(0_i32.to_be_bytes());
        });
    }

    fn message(&mut self, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.push(kind);
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        fill(&mut self.bytes);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Puts itself where the driver sends its stand-in; nothing where it does not. Returns what is to be sent, and where in
    /// that it begins.
    pub(crate) fn put_into(&self, sent: &[u8]) -> Option<(Vec<u8>, usize)> {
        let mut stand_in = Instead::default();
        stand_in.message(b'Q', |body| text_in(body, STAND_IN));
        let stand_in = stand_in.bytes;
        let at = sent
            .windows(stand_in.len())
            .position(|window| window == stand_in)?;
        let after = &sent[at + stand_in.len()..];
        Some(([&sent[..at], &self.bytes, after].concat(), at))
    }

    /// Returns what turns the answers into those to one text query, after so many ends of others.
    fn answers(&self, before: u64) -> Answers {
        Answers {
            before,
            ends: self.ends,
            is_failed: false,
            head: Vec::with_capacity(5),
            rest: 0,
            is_passing: false,
        }
    }
}

/// What goes instead of something else on one connection, and what the driver hears of it.
#[derive(Debug, Default)]
pub(crate) struct Detour {
    /// What is still to be sent.
    going: VecDeque<u8>,
    answers: VecDeque<Answers>,
    /// What the driver is still to hear.
    heard: VecDeque<u8>,
}

impl Detour {
    /// Begins with what is to be sent, where so many answers are owed to others before.
    pub(crate) fn begin(&mut self, instead: &Instead, going: Vec<u8>, owed: u64) {
        let known: u64 = self.answers.iter().map(Answers::owed).sum();
        let before = owed.saturating_sub(known);
        self.answers.push_back(instead.answers(before));
        self.going = going.into();
    }

    /// Returns what is to be sent next; nothing: all went.
    pub(crate) fn going(&self) -> Option<&[u8]> {
        Some(self.going.as_slices().0).filter(|bytes| !bytes.is_empty())
    }

    /// Notes that so much went.
    pub(crate) fn went(&mut self, length: usize) {
        self.going.drain(..length);
    }

    /// Returns whether the driver hears the server as it speaks.
    pub(crate) fn is_over(&self) -> bool {
        self.answers.is_empty() && self.heard.is_empty()
    }

    /// Takes what the server says.
    pub(crate) fn hear(&mut self, mut said: &[u8]) {
        let mut heard = Vec::with_capacity(said.len());
        while let Some(answers) = self.answers.front_mut().filter(|_| !said.is_empty()) {
            said = answers.take(said, &mut heard);
            if answers.is_over() {
                self.answers.pop_front();
            }
        }
        heard.extend_from_slice(said);
        self.heard.extend(heard);
    }

    /// Gives the driver what it is still to hear, as much as it takes. Returns whether that was anything.
    pub(crate) fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let length = buffer.remaining().min(self.heard.len());
        let given: Vec<u8> = self.heard.drain(..length).collect();
        buffer.put_slice(&given);
        length > 0
    }
}

fn text_in(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(text.as_bytes());
    body.push(0);
}

/// Turns the answers to the requests of a flight into those to one text query.
#[derive(Debug)]
struct Answers {
    /// Ends of what was asked before.
    before: u64,
    ends: u64,
    is_failed: bool,
    /// The type and length of the message at hand, as far as they are there.
    head: Vec<u8>,
    /// What of its content is still to come.
    rest: usize,
    is_passing: bool,
}

impl Answers {
    /// Takes what the server says, and adds to `heard` what the driver is to hear. Returns what comes after the last end.
    fn take<'s>(&mut self, mut said: &'s [u8], heard: &mut Vec<u8>) -> &'s [u8] {
        while !said.is_empty() && !self.is_over() {
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
                self.is_passing = self.passes(kind);
                if self.is_passing {
                    heard.extend_from_slice(&self.head);
                }
            }
            let (body, left) = said.split_at(self.rest.min(said.len()));
            if self.is_passing {
                heard.extend_from_slice(body);
            }
            self.rest -= body.len();
            said = left;
            if self.rest == 0 {
                self.end();
            }
        }
        said
    }

    fn is_over(&self) -> bool {
        self.ends == 0
    }

    /// Returns how many ends are still to come.
    fn owed(&self) -> u64 {
        self.before + self.ends
    }

    /// Decides whether the driver is to hear a message.
    fn passes(&self, kind: u8) -> bool {
        if self.before > 0 {
            return true;
        }
        match kind {
            // Parsed, bound, no rows: a text query is not told.
            b'1' | b'2' | b'n' => false,
            b'Z' => self.ends == 1,
            // Notices, settings, notifications come at any time.
            b'N' | b'S' | b'A' => true,
            _ => !self.is_failed,
        }
    }

    fn end(&mut self) {
        let kind = self.head.first().copied();
        self.head.clear();
        match kind {
            Some(b'Z') if self.before > 0 => self.before -= 1,
            Some(b'Z') => self.ends -= 1,
            Some(b'E') if self.before == 0 => self.is_failed = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut instead = Instead::default();
        instead.message(kind, |bytes| bytes.extend_from_slice(body));
        instead.bytes
    }

    fn said(kinds: &str) -> Vec<u8> {
        kinds
            .bytes()
            .flat_map(|kind| message(kind, &[b'x'; 3]))
            .collect()
    }

    #[track_caller]
    fn check(before: u64, ends: u64, answered: &str, expected: &str) {
        let all = said(answered);
        for size in 1..all.len() {
            let instead = Instead {
                ends,
                ..Instead::default()
            };
            let mut answers = instead.answers(before);
            let mut heard = Vec::new();
            for piece in all.chunks(size) {
                let left = answers.take(piece, &mut heard).to_owned();
                heard.extend(left);
            }
            assert_eq!(heard, said(expected), "in pieces of {size}");
        }
    }

    #[test]
    fn several_answers_are_heard_as_one() {
        check(0, 1, "12nC2TDDCZ", "CTDDCZ");
        check(0, 3, "CCZ12NCZTDCZ", "CCNCTDCZ");
        // What comes after belongs to others.
        check(0, 1, "1CZ1CZE", "CZ1CZE");
        check(2, 1, "1CZ2CZ12CZ", "1CZ2CZCZ");
    }

    #[test]
    fn only_the_first_error_is_heard_and_nothing_after_it() {
        check(0, 1, "12C2EZ", "CEZ");
        check(0, 2, "1EZSEZ", "ESZ");
        check(0, 2, "EZCZ", "EZ");
    }

    #[test]
    fn a_flight_goes_where_its_stand_in_stands() {
        let requests = [
            Request::Apart(vec![Step::Text("BEGIN".to_owned(), Vec::new())]),
            Request::Text("COMMIT".to_owned()),
        ];
        let instead = Instead::of(&requests);
        let stand_in = message(b'Q', format!("{STAND_IN}\0").as_bytes());
        let (before, after) = (message(b'S', b""), message(b'X', b""));

        let (bytes, at) = instead
            .put_into(&[before.clone(), stand_in, after.clone()].concat())
            .unwrap();

        assert_eq!(at, before.len());
        let kinds = [
            message(b'P', b"\0BEGIN\0\0\0"),
            message(b'B', &[0; 8]),
            message(b'D', b"P\0"),
            message(b'E', &[0; 5]),
            message(b'S', b""),
            message(b'Q', b"COMMIT\0"),
        ]
        .concat();
        assert_eq!(bytes, [before, kinds, after].concat());
        assert_eq!(instead.ends, 2);
        assert!(instead.put_into(b"S\0\0\0\x04").is_none());
    }
}
