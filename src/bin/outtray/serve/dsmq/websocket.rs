//! The third generation: JSON in text frames of a WebSocket.
//!
//! The protocol is tungstenite's, over a stream that is two buffers: the event loop puts in what
//! the socket had, and takes out what goes to it. So nothing here waits, and a test needs no
//! network.

use crate::serve::dsmq::closing::{Closing, ClosingKind};
use crate::serve::dsmq::frame_watch::FrameWatch;
use bytes::{Buf, BytesMut};
use std::io::{self, Read, Write};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request as Upgrade, create_response, write_response};
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// Longest HTTP request that asks for a WebSocket: browsers send a few kilobytes.
const LONGEST_UPGRADE: usize = 16 << 10;
/// What tungstenite reads at once. It keeps the buffer, so that a thousand connections have one
/// each.
const READ_AT_ONCE: usize = 4 << 10;

/// What an HTTP request asked for.
#[derive(Debug)]
pub(crate) struct Knock {
    /// What remains to be read behind it.
    pub(crate) length: usize,
    /// The response that makes it a WebSocket.
    response: Vec<u8>,
    /// The header `Authorization`.
    pub(crate) authorization: Option<String>,
    /// Whether a page in a browser sends it.
    pub(crate) has_origin: bool,
}

impl Knock {
    /// Reads the request, once it is complete.
    ///
    /// # Errors
    /// When it is too long, or does not ask for a WebSocket.
    pub(crate) fn read(bytes: &[u8]) -> Result<Option<Knock>, Closing> {
        let bad =
            |error: &Error| Closing::new(ClosingKind::Protocol, format!("no WebSocket: {error}"));
        let Some((length, upgrade)) = Upgrade::try_parse(bytes).map_err(|error| bad(&error))?
        else {
            return match bytes.len() > LONGEST_UPGRADE {
                true => Err(Closing::new(
                    ClosingKind::TooBig,
                    "the HTTP request is too long",
                )),
                false => Ok(None),
            };
        };
        let granted = create_response(&upgrade).map_err(|error| bad(&error))?;
        let mut response = Vec::new();
        write_response(&mut response, &granted).map_err(|error| bad(&error))?;
        let header = |name| upgrade.headers().get(name);
        Ok(Some(Knock {
            length,
            response,
            authorization: header("authorization")
                .and_then(|value| value.to_str().ok())
                .map(ToOwned::to_owned),
            has_origin: header("origin").is_some(),
        }))
    }
}

/// What came on a WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Request(BytesMut),
    /// Nothing more for now.
    Nothing,
    /// The client closed, and its farewell is answered.
    Farewell,
}

/// The two buffers between tungstenite and the socket.
#[derive(Debug, Default)]
struct Buffers {
    input: BytesMut,
    output: BytesMut,
}

impl Read for Buffers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.input.len().min(buffer.len());
        self.input.copy_to_slice(&mut buffer[..count]);
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        Ok(count)
    }
}

impl Write for Buffers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A WebSocket without its socket.
#[derive(Debug)]
pub(crate) struct WebSocketFrames {
    socket: WebSocket<Buffers>,
    watch: FrameWatch,
}

impl WebSocketFrames {
    /// Answers a request for a WebSocket. Requests have up to `largest` bytes.
    pub(crate) fn open(knock: Knock, largest: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_AT_ONCE)
            .write_buffer_size(0)
            .max_message_size(Some(largest))
            .max_frame_size(Some(largest));
        let buffers = Buffers {
            output: knock.response[..].into(),
            ..Buffers::default()
        };
        WebSocketFrames {
            socket: WebSocket::from_raw_socket(buffers, Role::Server, Some(config)),
            watch: FrameWatch::default(),
        }
    }

    /// Takes what the socket had.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.watch.follow(bytes);
        self.socket.get_mut().input.extend_from_slice(bytes);
    }

    /// Returns the next request.
    pub(crate) fn next(&mut self) -> Result<Came, Closing> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(Came::Request(text.as_bytes().into())),
                Ok(Message::Binary(bytes)) => return Ok(Came::Request(bytes.into())),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    let _ = self.socket.flush();
                    return Ok(Came::Farewell);
                }
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Came::Nothing);
                }
                Err(Error::Capacity(error)) => {
                    return Err(Closing::new(ClosingKind::TooBig, error.to_string()));
                }
                Err(error @ Error::Utf8(_)) => {
                    return Err(Closing::new(ClosingKind::NoText, error.to_string()));
                }
                Err(error) => return Err(Closing::new(ClosingKind::Protocol, error.to_string())),
            }
        }
    }

    pub(crate) fn reply(&mut self, text: String) {
        // It fails for one that is closed, to whom there is nothing to say.
        let _ = self.socket.send(Message::text(text));
    }

    pub(crate) fn close(&mut self, closing: &Closing) {
        let _ = self.socket.close(Some(CloseFrame {
            code: closing.code(),
            reason: closing.reason().into(),
        }));
    }

    /// Moves what goes to the socket to the end of `output`.
    pub(crate) fn drain_to(&mut self, output: &mut BytesMut) {
        let waiting = std::mem::take(&mut self.socket.get_mut().output);
        match output.is_empty() {
            true => *output = waiting,
            false => output.extend_from_slice(&waiting),
        }
    }

    /// Returns whether all that came was whole messages, be they read or not.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.watch.is_between_messages()
    }
}
