//! Hostile and unlucky bytes, at random: whatever comes, in whatever pieces, the wire neither
//! panics nor hangs nor keeps more than it may, and what is well said is heard.
//!
//! A second or two in the suite. Ten minutes, of which each of the three has a third:
//! `OUTTRAY_FUZZ_SECONDS=200 cargo test --features command --bin outtray fuzz -- --test-threads=1`

use crate::serve::dsmq::closing::Closing;
use crate::serve::dsmq::request::Request;
use crate::serve::dsmq::wire::{RequestBounds, Wire, WireHeard};
use fastrand::Rng;
use std::time::{Duration, Instant};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

const BOUNDS: RequestBounds = RequestBounds {
    largest: 4096,
    deepest: 16,
};
/// What a wire may keep: a request that is as large as it may be, and what came with its end.
const MOST_KEPT: usize = 2 * BOUNDS.largest + (16 << 10) + 64;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    Bare,
    Framed,
    WebSocket,
}

/// Runs `once` with ever new seeds for as long as the environment says.
fn at_length(once: impl Fn(&mut Rng)) {
    let seconds = std::env::var("OUTTRAY_FUZZ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    // There are three of these, one after the other or side by side.
    let time = seconds.map_or(Duration::from_millis(400), Duration::from_secs);
    let first = fastrand::u64(..);
    let started = Instant::now();
    let mut count = 0;
    while started.elapsed() < time {
        let seed = first.wrapping_add(count);
        let told = SaidSeed(seed);
        once(&mut Rng::with_seed(seed));
        std::mem::forget(told);
        count += 1;
    }
    assert!(count > 10, "only {count} runs");
}

/// Says the seed of a run that panics.
struct SaidSeed(u64);

impl Drop for SaidSeed {
    fn drop(&mut self) {
        eprintln!("the seed was {}", self.0);
    }
}

/// Gives the bytes to a wire in random pieces; returns the requests and how it ended.
fn hear(bytes: &[u8], rng: &mut Rng) -> (Vec<Vec<u8>>, Option<Closing>) {
    let mut wire = Wire::new(BOUNDS);
    let mut requests = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let most = if rng.bool() { 3 } else { 2 * BOUNDS.largest };
        let (piece, others) = rest.split_at(rng.usize(1..=most.min(rest.len())));
        rest = others;
        wire.take(piece);
        // Each byte can end one request at most, and a knock.
        for turn in 0.. {
            assert!(turn <= piece.len() + BOUNDS.largest + 2, "it does not end");
            match wire.next() {
                Ok(WireHeard::Request(request)) => {
                    assert!(request.len() <= BOUNDS.largest);
                    requests.push(request.to_vec());
                    if rng.u8(..) < 10 {
                        let _ = wire.reply("\"hello\"");
                    }
                }
                Ok(WireHeard::Knock(knock)) => wire.open(*knock),
                Ok(WireHeard::Nothing) => break,
                Ok(WireHeard::Farewell) => return (requests, None),
                Err(closing) => {
                    wire.close(&closing);
                    assert_eq!(wire.unfinished(), 0);
                    assert!(matches!(wire.next(), Ok(WireHeard::Nothing)));
                    return (requests, Some(closing));
                }
            }
        }
        assert!(
            wire.unfinished() <= MOST_KEPT,
            "{} bytes are kept",
            wire.unfinished()
        );
        let unread = wire.output().len();
        wire.sent(unread);
    }
    (requests, None)
}

fn text(rng: &mut Rng, most: usize) -> String {
    let alphabet = [
        'a', '"', '\\', '{', '}', '[', ']', 'é', '🦀', '\n', '\0', ' ', ':', ',',
    ];
    let length = rng.usize(0..most);
    (0..length)
        .map(|_| alphabet[rng.usize(..alphabet.len())])
        .collect()
}

fn request(rng: &mut Rng) -> String {
    let most = if rng.u8(..) < 8 { 300 } else { 20 };
    let topic = serde_json::to_string(&text(rng, 10)).unwrap();
    let message = match rng.u8(..4) {
        0 => format!("[{}, {{\"x\": null}}]", rng.i32(..)),
        _ => serde_json::to_string(&text(rng, most)).unwrap(),
    };
    match rng.u8(..3) {
        0 => format!("{{\"action\": \"get\", \"topic\": {topic}}}"),
        1 => format!("{{\"message\": {message}, \"topic\":{topic} ,\"action\":\"put\"}}"),
        _ => format!("{{\"action\":\"get_latest\",\"more\": {message}, \"topic\": {topic}}}"),
    }
}

/// Says the requests as a client of the generation does.
fn said(generation: Generation, requests: &[String], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    if generation == Generation::WebSocket {
        bytes.extend_from_slice(UPGRADE.as_bytes());
    }
    for request in requests {
        match generation {
            Generation::Bare => {
                let white = [" ", "", "\r\n", "\t "];
                bytes.extend_from_slice(white[rng.usize(..white.len())].as_bytes());
                bytes.extend_from_slice(request.as_bytes());
            }
            Generation::Framed => {
                let length = request.len() + 1_000_000;
                bytes
                    .extend_from_slice(format!("{{\"msg_length\": {length}}}{request}").as_bytes());
            }
            Generation::WebSocket => frames(request.as_bytes(), rng, &mut bytes),
        }
    }
    bytes
}

/// Writes a message in one or more frames, with pings between them.
fn frames(mut rest: &[u8], rng: &mut Rng, bytes: &mut Vec<u8>) {
    let mut data = Data::Text;
    loop {
        let is_final = rng.bool();
        let length = if is_final {
            rest.len()
        } else {
            rng.usize(0..=rest.len())
        };
        let (piece, others) = rest.split_at(length);
        frame(OpCode::Data(data), is_final, piece, rng, bytes);
        rest = others;
        if is_final {
            return;
        }
        data = Data::Continue;
        if rng.u8(..4) == 0 {
            frame(
                OpCode::Control(Control::Ping),
                true,
                b"still there?",
                rng,
                bytes,
            );
        }
    }
}

fn frame(opcode: OpCode, is_final: bool, payload: &[u8], rng: &mut Rng, bytes: &mut Vec<u8>) {
    let mask: [u8; 4] = rng.u32(..).to_be_bytes();
    let header = FrameHeader {
        is_final,
        opcode,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    header.format(payload.len() as u64, bytes).unwrap();
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
}

fn any_generation(rng: &mut Rng) -> Generation {
    [Generation::Bare, Generation::Framed, Generation::WebSocket][rng.usize(..3)]
}

#[test]
fn what_is_well_said_is_heard_in_order_in_whatever_pieces_it_comes() {
    at_length(|rng| {
        let generation = any_generation(rng);
        let requests: Vec<String> = (0..rng.usize(0..20)).map(|_| request(rng)).collect();
        let bytes = said(generation, &requests, rng);

        let (heard, closing) = hear(&bytes, rng);

        assert_eq!(closing, None, "{generation:?}");
        let expected: Vec<Vec<u8>> = requests.into_iter().map(String::into_bytes).collect();
        assert_eq!(heard, expected, "{generation:?}");
    });
}

#[test]
fn what_was_damaged_on_the_way_neither_panics_nor_hangs() {
    at_length(|rng| {
        let generation = any_generation(rng);
        let requests: Vec<String> = (0..rng.usize(1..6)).map(|_| request(rng)).collect();
        let mut bytes = said(generation, &requests, rng);
        for _ in 0..rng.usize(1..5) {
            let at = rng.usize(..bytes.len());
            match rng.u8(..4) {
                0 => bytes[at] = rng.u8(..),
                1 => bytes.truncate(at + 1),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, rng.u8(..)),
            }
            if bytes.is_empty() {
                return;
            }
        }

        for request in hear(&bytes, rng).0 {
            let _ = Request::parse(&request);
        }
    });
}

#[test]
fn noise_is_refused_before_it_takes_much_memory() {
    at_length(|rng| {
        let starts = [
            "",
            "{",
            "{\"msg_length\": 1004096}",
            "{\"msg_length\": ",
            UPGRADE,
            "GET /",
        ];
        let mut bytes = starts[rng.usize(..starts.len())].as_bytes().to_vec();
        let filling = [b'{', b'[', b'"', b' ', b'a', b'\\', 0x81, 0xff][rng.usize(..8)];
        let is_noise = rng.bool();
        let length = rng.usize(..40_000);
        bytes.extend((0..length).map(|_| if is_noise { rng.u8(..) } else { filling }));

        for request in hear(&bytes, rng).0 {
            let _ = Request::parse(&request);
        }
    });
}
