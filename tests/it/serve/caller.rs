//! A client of the wire, in any generation, that says what it is told to, right or wrong.

use crate::support::PATIENCE;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    Bare,
    Framed,
    WebSocket,
}

pub(super) struct Caller {
    generation: Generation,
    pub(super) socket: TcpStream,
    input: Vec<u8>,
}

/// How a server ended a connection: the code and the reason of a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Goodbye {
    pub(super) code: Option<u16>,
    pub(super) reason: String,
}

impl Caller {
    pub(super) fn call(address: SocketAddr, generation: Generation) -> Caller {
        let mut caller = Caller::connect(address, generation);
        if generation == Generation::WebSocket {
            let answer = caller.upgrade("");
            assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
        }
        caller
    }

    /// Connects, and says nothing.
    pub(super) fn connect(address: SocketAddr, generation: Generation) -> Caller {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Caller {
            generation,
            socket,
            input: Vec::new(),
        }
    }

    /// Asks for a WebSocket with more headers; returns the answer.
    pub(super) fn upgrade(&mut self, headers: &str) -> String {
        self.knock(headers);
        self.answer()
    }

    /// Asks for a WebSocket with more headers.
    pub(super) fn knock(&mut self, headers: &str) {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{headers}\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.send_bytes(request.as_bytes());
    }

    /// Returns the answer to that.
    pub(super) fn answer(&mut self) -> String {
        let end = b"\r\n\r\n";
        while !self.input.windows(4).any(|four| four == end) && self.read_more() {}
        let length = self.input.windows(4).position(|four| four == end);
        let head = self.input.drain(..length.map_or(0, |at| at + 4));
        String::from_utf8(head.collect()).unwrap()
    }

    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        // One whose server has closed is told so when it reads.
        let _ = self.socket.write_all(bytes);
    }

    /// Returns a request as this generation sends it.
    pub(super) fn said(&self, request: &str) -> Vec<u8> {
        match self.generation {
            Generation::Bare => request.as_bytes().to_vec(),
            Generation::Framed => {
                let length = request.len() + 1_000_000;
                format!("{{\"msg_length\": {length}}}{request}").into_bytes()
            }
            Generation::WebSocket => frame(0x81, request.as_bytes()),
        }
    }

    pub(super) fn say(&mut self, request: &str) {
        let bytes = self.said(request);
        self.send_bytes(&bytes);
    }

    pub(super) fn put(&mut self, queue: &str, message: impl Into<Value>) {
        let message: Value = message.into();
        self.say(&json!({"action": "put", "topic": queue, "message": message}).to_string());
    }

    pub(super) fn ask(&mut self, action: &str, queue: &str) {
        self.say(&json!({"action": action, "topic": queue}).to_string());
    }

    #[track_caller]
    pub(super) fn get(&mut self, queue: &str) -> Value {
        self.ask("get", queue);
        self.reply()
    }

    #[track_caller]
    pub(super) fn get_latest(&mut self, queue: &str) -> Value {
        self.ask("get_latest", queue);
        self.reply()
    }

    /// Gets messages until there were `count`, asking again while there is none.
    #[track_caller]
    pub(super) fn get_all(&mut self, queue: &str, count: usize) -> Vec<Value> {
        let started = Instant::now();
        let mut got = Vec::new();
        while got.len() < count {
            match self.get(queue) {
                empty if empty == "" => {
                    assert!(started.elapsed() < PATIENCE, "{} of {count}", got.len());
                    crate::support::pass_time(Duration::from_millis(2));
                }
                message => got.push(message),
            }
        }
        got
    }

    /// Returns the message of the next reply.
    #[track_caller]
    pub(super) fn reply(&mut self) -> Value {
        let text = self.next_reply().expect("a reply");
        let reply: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            reply.as_object().map(|fields| fields.len()),
            Some(1),
            "{text}"
        );
        reply["message"].clone()
    }

    /// Returns the text of the next reply; `None` when the server closed.
    pub(super) fn next_reply(&mut self) -> Option<String> {
        match self.generation {
            Generation::Bare => self.object(),
            Generation::Framed => {
                let header = self.take(23)?;
                let header: Value = serde_json::from_slice(&header).unwrap();
                let length = header["msg_length"].as_u64().unwrap() - 1_000_000;
                let body = self.take(usize::try_from(length).unwrap())?;
                Some(String::from_utf8(body).unwrap())
            }
            Generation::WebSocket => match self.frame()? {
                (0x81, payload) => Some(String::from_utf8(payload).unwrap()),
                (opcode, payload) => panic!("a frame {opcode:x} {payload:?}"),
            },
        }
    }

    /// Returns all that the server says before it closes.
    pub(super) fn rest(&mut self) -> String {
        while self.read_more() {}
        String::from_utf8(std::mem::take(&mut self.input)).unwrap()
    }

    /// Returns whether the server has closed, without reading what it said.
    pub(super) fn is_closed_by_server(&mut self) -> bool {
        self.socket.write_all(b" ").is_err()
    }

    /// Returns the next frame, whatever it is.
    pub(super) fn any_frame(&mut self) -> Option<(u8, String)> {
        let (first, payload) = self.frame()?;
        Some((first, String::from_utf8(payload).unwrap()))
    }

    /// Waits until the server closes; returns what it said last.
    #[track_caller]
    pub(super) fn goodbye(&mut self) -> Goodbye {
        let mut goodbye = Goodbye {
            code: None,
            reason: String::new(),
        };
        if self.generation == Generation::WebSocket {
            let (opcode, payload) = self.frame().expect("a last frame");
            assert_eq!(opcode, 0x88, "{payload:?}");
            goodbye.code = Some(u16::from_be_bytes([payload[0], payload[1]]));
            goodbye.reason = String::from_utf8(payload[2..].to_vec()).unwrap();
        }
        while self.read_more() {}
        goodbye
    }

    /// Says that it has nothing more to say.
    pub(super) fn finish(&mut self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Returns the text of one whole JSON object, which may be one that this crate cannot read.
    fn object(&mut self) -> Option<String> {
        let (mut at, mut depth, mut is_text) = (0, 0, false);
        loop {
            while at >= self.input.len() {
                if !self.read_more() {
                    return None;
                }
            }
            match self.input[at] {
                b'\\' if is_text => at += 1,
                b'"' => is_text = !is_text,
                b'{' if !is_text => depth += 1,
                b'}' if !is_text => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 {
                return Some(String::from_utf8(self.input.drain(..at).collect()).unwrap());
            }
        }
    }

    /// Returns the first byte and the payload of the next frame.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.take(2)?;
        let length = match head[1] {
            126 => self
                .take(2)?
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
            127 => self
                .take(8)?
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte)),
            short => usize::from(short),
        };
        Some((head[0], self.take(length)?))
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.input.len() < count {
            if !self.read_more() {
                return None;
            }
        }
        Some(self.input.drain(..count).collect())
    }

    /// Reads what there is; returns false when the server closed.
    fn read_more(&mut self) -> bool {
        let mut buffer = [0; 65_536];
        match self.socket.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the server neither replies nor closes")
            }
            Err(_) => false,
        }
    }
}

/// Returns a frame of a client, masked.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            bytes.push(0xfe);
            bytes.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0xff);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let mask = [7, 11, 13, 17];
    bytes.extend_from_slice(&mask);
    bytes.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    bytes
}
