//! One connection's bytes, in whichever generation of the wire its client speaks.
//!
//! | generation | begins with | requests and replies |
//! |---|---|---|
//! | 0.2 to 0.6 | `{` | bare JSON objects, one after the other |
//! | 0.7 | `{"msg_length": …}` | JSON objects, each behind such a header |
//! | 1.x | `GET ` | text frames of a WebSocket |
//!
//! The first bytes tell which it is. Nothing here reads or writes a socket: bytes go in, requests
//! come out, and replies wait to be taken, so that a fuzzer can drive all of it.

use crate::serve::dsmq::closing::{Closing, ClosingKind};
use crate::serve::dsmq::json_stream::{BrokenStream, ObjectScan, is_white};
use crate::serve::dsmq::websocket::{Came, Knock, WebSocketFrames};
use bytes::{Buf, BytesMut};
use serde::Deserialize;

/// What a header of the second generation adds to the length, so that it has always 23 bytes.
const LENGTH_OFFSET: usize = 1_000_000;
const HEADER_BYTES: usize = 23;
/// The longest body that such a header can announce.
const LONGEST_BODY: usize = 9_999_999 - LENGTH_OFFSET;
/// Longest header that is read: there is room for white space.
const LONGEST_HEADER: usize = 64;

/// Bounds of what a client may send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestBounds {
    /// Bytes of a request.
    pub(crate) largest: usize,
    /// Nesting of a request.
    pub(crate) deepest: usize,
}

/// What comes out of a wire.
#[derive(Debug)]
pub(crate) enum WireHeard {
    /// A client of the third generation wants in. Answer with [`Wire::open`] or [`Wire::close`].
    Knock(Box<Knock>),
    /// A request, not parsed.
    Request(BytesMut),
    /// Nothing more before more bytes come in.
    Nothing,
    /// The client said farewell.
    Farewell,
}

#[derive(Debug)]
enum Speech {
    /// Nothing has come yet but white space.
    Unknown,
    Bare,
    /// The length of the body that is awaited; `None` while its header is.
    Framed(Option<usize>),
    /// HTTP that asks for a WebSocket.
    Knocking,
    /// It has asked, and waits for the answer.
    Knocked,
    WebSocket(Box<WebSocketFrames>),
    /// Nobody listens any more.
    Closed,
}

/// One connection's bytes.
#[derive(Debug)]
pub(crate) struct Wire {
    bounds: RequestBounds,
    speech: Speech,
    /// What has come and is not yet understood. A WebSocket has buffers of its own.
    input: BytesMut,
    scan: ObjectScan,
    /// How many bytes came since the last complete request.
    unfinished: usize,
    output: BytesMut,
}

#[derive(Deserialize)]
struct Header {
    msg_length: usize,
}

impl Wire {
    pub(crate) fn new(bounds: RequestBounds) -> Self {
        Wire {
            bounds,
            speech: Speech::Unknown,
            input: BytesMut::new(),
            scan: ObjectScan::default(),
            unfinished: 0,
            output: BytesMut::new(),
        }
    }

    /// Takes what the socket had.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        match &mut self.speech {
            // It is read until its client has closed, too.
            Speech::Closed => return,
            Speech::WebSocket(frames) => frames.take(bytes),
            _ => self.input.extend_from_slice(bytes),
        }
        self.unfinished += bytes.len();
    }

    /// Returns the next request, if it is complete.
    ///
    /// # Errors
    /// Why the connection has to be closed.
    pub(crate) fn next(&mut self) -> Result<WireHeard, Closing> {
        if matches!(self.speech, Speech::Unknown) {
            self.recognise()?;
        }
        let heard = match &mut self.speech {
            Speech::Unknown | Speech::Knocked | Speech::Closed => WireHeard::Nothing,
            Speech::Bare => self
                .object()?
                .map_or(WireHeard::Nothing, WireHeard::Request),
            Speech::Framed(_) => self.body()?,
            Speech::Knocking => self.knock()?,
            Speech::WebSocket(frames) => {
                let came = frames.next();
                frames.drain_to(&mut self.output);
                match came? {
                    Came::Request(bytes) => {
                        check_depth(&bytes, self.bounds)?;
                        WireHeard::Request(bytes)
                    }
                    Came::Nothing => WireHeard::Nothing,
                    Came::Farewell => WireHeard::Farewell,
                }
            }
        };
        match heard {
            WireHeard::Request(_) => self.unfinished = self.input.len(),
            // What came was a ping, or white space.
            WireHeard::Nothing if self.is_between_requests() => self.unfinished = 0,
            _ => {}
        }
        Ok(heard)
    }

    /// Tells the generation from the first bytes.
    fn recognise(&mut self) -> Result<(), Closing> {
        self.skip_white();
        let Some(first) = self.input.first() else {
            return Ok(());
        };
        match first {
            b'G' => self.speech = Speech::Knocking,
            b'{' => {
                // The first object decides: a header, or a request.
                let Some(object) = self.object()? else {
                    return Ok(());
                };
                self.speech = match serde_json::from_slice::<Header>(&object) {
                    Ok(_) => Speech::Framed(None),
                    Err(_) => Speech::Bare,
                };
                let rest = std::mem::replace(&mut self.input, object);
                self.input.extend_from_slice(&rest);
            }
            _ => return Err(Closing::failed("neither JSON nor a WebSocket")),
        }
        Ok(())
    }

    /// Returns the next object of a stream of them.
    fn object(&mut self) -> Result<Option<BytesMut>, Closing> {
        self.skip_white();
        let found = self.scan.end(&self.input, self.bounds.deepest);
        let found = found.map_err(|why| match why {
            BrokenStream::NotAnObject => Closing::failed("a request is a JSON object"),
            BrokenStream::TooDeep => too_deep(self.bounds),
        })?;
        let length = found.unwrap_or(self.input.len());
        if length > self.bounds.largest {
            return Err(too_big(length, self.bounds));
        }
        Ok(found.map(|length| self.input.split_to(length)))
    }

    /// Returns the next body behind its header.
    fn body(&mut self) -> Result<WireHeard, Closing> {
        let awaited = match &self.speech {
            Speech::Framed(Some(length)) => *length,
            _ => {
                let Some(header) = self.object()? else {
                    return match self.input.len() > LONGEST_HEADER {
                        true => Err(Closing::failed("the header does not end")),
                        false => Ok(WireHeard::Nothing),
                    };
                };
                self.announced(&header)?
            }
        };
        self.speech = Speech::Framed(Some(awaited));
        if self.input.len() < awaited {
            return Ok(WireHeard::Nothing);
        }
        self.speech = Speech::Framed(None);
        let body = self.input.split_to(awaited);
        check_depth(&body, self.bounds)?;
        Ok(WireHeard::Request(body))
    }

    /// Returns the length that a header announces.
    fn announced(&self, header: &[u8]) -> Result<usize, Closing> {
        let header: Header = serde_json::from_slice(header)
            .map_err(|error| Closing::failed(format!("a bad header: {error}")))?;
        match header.msg_length.checked_sub(LENGTH_OFFSET) {
            None | Some(0) => Err(Closing::failed("the header announces no length")),
            Some(length) if length > self.bounds.largest => Err(too_big(length, self.bounds)),
            Some(length) => Ok(length),
        }
    }

    fn knock(&mut self) -> Result<WireHeard, Closing> {
        let Some(knock) = Knock::read(&self.input)? else {
            return Ok(WireHeard::Nothing);
        };
        self.input.advance(knock.length);
        self.speech = Speech::Knocked;
        Ok(WireHeard::Knock(Box::new(knock)))
    }

    /// Lets a client of the third generation in.
    pub(crate) fn open(&mut self, knock: Knock) {
        let mut frames = WebSocketFrames::open(knock, self.bounds.largest);
        frames.take(&self.input);
        self.input = BytesMut::new();
        frames.drain_to(&mut self.output);
        self.speech = Speech::WebSocket(Box::new(frames));
    }

    /// Replies with a message, which is JSON text.
    ///
    /// # Errors
    /// When this generation cannot carry it.
    pub(crate) fn reply(&mut self, message: &str) -> Result<(), Closing> {
        let reply = format!("{{\"message\": {message}}}");
        match &mut self.speech {
            Speech::Framed(_) => {
                if reply.len() > LONGEST_BODY {
                    return Err(Closing::failed("the message is too long for this wire"));
                }
                let length = reply.len() + LENGTH_OFFSET;
                let header = format!("{{\"msg_length\": {length}}}");
                debug_assert_eq!(header.len(), HEADER_BYTES);
                self.output.extend_from_slice(header.as_bytes());
                self.output.extend_from_slice(reply.as_bytes());
            }
            Speech::WebSocket(frames) => {
                frames.reply(reply);
                frames.drain_to(&mut self.output);
            }
            Speech::Closed => {}
            _ => self.output.extend_from_slice(reply.as_bytes()),
        }
        Ok(())
    }

    /// Says why there will be no more, where the generation has words for it.
    pub(crate) fn close(&mut self, closing: &Closing) {
        match &mut self.speech {
            Speech::WebSocket(frames) => {
                frames.close(closing);
                frames.drain_to(&mut self.output);
            }
            Speech::Knocking | Speech::Knocked => self.refuse(closing),
            _ => {}
        }
        self.speech = Speech::Closed;
        self.input = BytesMut::new();
        self.unfinished = 0;
    }

    /// Refuses a WebSocket, in HTTP.
    fn refuse(&mut self, closing: &Closing) {
        let (status, text) = (closing.status(), closing.to_string());
        let challenge = match closing.kind {
            ClosingKind::Unknown => "WWW-Authenticate: Bearer\r\n",
            _ => "",
        };
        let response = format!(
            "HTTP/1.1 {status}\r\n{challenge}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{text}\n",
            text.len() + 1
        );
        self.output.extend_from_slice(response.as_bytes());
    }

    /// Returns what waits to go to the socket.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// Forgets what the socket has taken.
    pub(crate) fn sent(&mut self, count: usize) {
        self.output.advance(count);
        // What a burst needed is not kept for ever.
        if self.output.is_empty() && self.output.capacity() > 64 << 10 {
            self.output = BytesMut::new();
        }
    }

    /// Returns how many bytes of a request are there whose end is not.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    fn is_between_requests(&self) -> bool {
        match &self.speech {
            Speech::Unknown | Speech::Bare | Speech::Framed(None) => self.input.is_empty(),
            Speech::Knocked | Speech::Closed => true,
            Speech::Framed(Some(_)) | Speech::Knocking => false,
            Speech::WebSocket(frames) => frames.is_between_messages(),
        }
    }

    fn skip_white(&mut self) {
        let white = self
            .input
            .iter()
            .take_while(|byte| is_white(**byte))
            .count();
        self.input.advance(white);
        // A large request is no reason to keep as much memory for the next ones.
        if self.input.is_empty() && self.input.capacity() > 64 << 10 {
            self.input = BytesMut::new();
        }
    }
}

fn too_big(length: usize, bounds: RequestBounds) -> Closing {
    let text = format!(
        "a request of {length} bytes or more, the limit is {}",
        bounds.largest
    );
    Closing::new(ClosingKind::TooBig, text)
}

fn too_deep(bounds: RequestBounds) -> Closing {
    let text = format!("a request is nested deeper than {} levels", bounds.deepest);
    Closing::new(ClosingKind::TooBig, text)
}

/// Checks the nesting of a whole request.
fn check_depth(request: &[u8], bounds: RequestBounds) -> Result<(), Closing> {
    match ObjectScan::default().end(request, bounds.deepest) {
        Err(BrokenStream::TooDeep) => Err(too_deep(bounds)),
        // What else is wrong with it, the parser says better.
        _ => Ok(()),
    }
}
