//! The stream under each connection, which notes what moves and can be cut.

use crate::connect::frames::Frames;
use crate::connect::pipeline::{Detour, is_begin};
use crate::connect::pulse::{Pulse, Pulses};
use crate::connect::wiring::Wiring;
use postgres::tls::{ChannelBinding, TlsStream};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What the server tells of itself when it takes no writes, and whenever that changes.
const IS_STANDBY: &[u8] = b"in_hot_standby\0on\0";

/// The server takes no writes, and is not the one that was meant. What it was asked for has not
/// happened.
#[derive(Debug)]
pub(crate) struct Standby;

impl fmt::Display for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is a standby, or was made one, and takes no writes")
    }
}

impl StdError for Standby {}

/// A stream with a pulse.
pub(crate) struct Wired<T> {
    stream: T,
    pulse: Arc<Pulse>,
    sent: Frames,
    received: Frames,
    /// Reads what is about to leave, while the caller has its transaction in hand.
    guard: Option<Guard>,
    limit: Duration,
    /// When the time of the answer at hand is over.
    over: Option<Pin<Box<Sleep>>>,
    is_any_fit: bool,
    pulses: Arc<Pulses>,
    detour: Detour,
}

/// How much of answers is read at a time.
const PIECE: usize = 4 << 10;

impl<T> Wired<T> {
    /// Puts a pulse on a stream of a try.
    pub(crate) fn over(stream: T, wiring: &Wiring) -> Wired<T> {
        let pulse = Arc::new(Pulse::new());
        wiring.note_made(&pulse);
        Wired {
            stream,
            pulse,
            sent: Frames::of_client(),
            received: Frames::of_server(b"KSECZN"),
            guard: None,
            limit: wiring.limit,
            over: None,
            is_any_fit: wiring.is_any_fit,
            pulses: Arc::clone(&wiring.pulses),
            detour: Detour::default(),
        }
    }

    fn check(&self) -> io::Result<()> {
        match self.pulse.is_cut() {
            true => Err(silent()),
            false => Ok(()),
        }
    }

    /// Takes note of what the server said.
    ///
    /// A server that refuses to write, although nobody asked to only read, has become the wrong
    /// one: by a switch that keeps connections, as some proxies do, or by somebody who keeps
    /// writers away from it. So have those to which the other connections lead. What is refused
    /// inside a function is left to the next poll: the function may have asked to only read, have
    /// raised the error, or pass on what yet another server said.
    fn take_note(&mut self, said: &[u8]) -> io::Result<()> {
        let (mut ends, mut is_standby, mut only_reads) = (0, false, false);
        let is_drivers = self.detour.is_over();
        let pulse = &self.pulse;
        self.received.take(said, |kind, body| match (kind, body) {
            (b'Z', status) => {
                ends += 1;
                pulse
                    .watch
                    .is_ready(status.first().copied().unwrap_or_default());
            }
            // The server takes rows from now on. It passes over the sync with which the driver
            // asked, and answers the one after the rows, which is the only one in a flight.
            (b'G', _) => ends += u64::from(is_drivers),
            (b'C', tag) => pulse.watch.completed(tag),
            (b'K', &[a, b, c, d, ..]) => pulse.announced(i32::from_be_bytes([a, b, c, d])),
            (b'S', IS_STANDBY) => is_standby = true,
            (b'S', _) => pulse.watch.reported(),
            (b'N', fields) => pulse.warned(fields),
            (b'E', fields) if is_overlong(fields) => pulse.ended_as_overlong(),
            (b'E', fields) if has_code(fields, b"C25006") && is_direct(fields) => {
                only_reads |= !pulse.watch.is_altered();
            }
            _ => {}
        });
        self.over = None;
        self.pulse.received(ends);
        if self.is_any_fit || !is_standby && !only_reads {
            return Ok(());
        }
        if only_reads {
            self.pulses.outdate();
        }
        Err(io::Error::other(Standby))
    }

    /// Cuts the connection before a request leaves on it that must not.
    fn look_ahead(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.pulse.watch.is_guarded() {
            self.guard = None;
            return Ok(());
        }
        let guard = self.guard.get_or_insert_with(Guard::new);
        match guard.lets_pass(bytes, &self.pulse) {
            true => Ok(()),
            false => {
                self.pulse.cut();
                Err(io::Error::other("it would have ended the transaction"))
            }
        }
    }

    /// Ends a wait that takes too long, before the connection is settled.
    fn await_limit(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pulse.is_settled() || !self.pulse.is_owed() {
            self.over = None;
            return Poll::Pending;
        }
        let limit = self.limit;
        let over = self.over.get_or_insert_with(|| Box::pin(sleep(limit)));
        over.as_mut().poll(context).map(|()| Err(silent()))
    }
}

/// Reads requests before they leave.
struct Guard {
    frames: Frames,
    /// How much it read of what has not left yet.
    ahead: usize,
}

impl Guard {
    fn new() -> Self {
        Guard {
            frames: Frames::of_requests(),
            ahead: 0,
        }
    }

    /// Reads what comes next, some of which it may have read before.
    fn lets_pass(&mut self, bytes: &[u8], pulse: &Pulse) -> bool {
        let fresh = bytes.get(self.ahead..).unwrap_or_default();
        self.ahead = self.ahead.max(bytes.len());
        let mut is_fine = true;
        self.frames.take(fresh, |kind, body| {
            let mut texts = body.split(|byte| *byte == 0);
            let sql = match kind {
                b'Q' => texts.next(),
                // After the name of the statement.
                b'P' => texts.nth(1),
                _ => None,
            };
            is_fine &= sql.is_none_or(|sql| pulse.watch.guard(sql));
        });
        is_fine
    }
}

/// Returns whether an error of the server says that it ends the session since a transaction took
/// too long: 25P03 for one that did nothing, 25P04 for one that was at work.
fn is_overlong(fields: &[u8]) -> bool {
    has_code(fields, b"C25P03") || has_code(fields, b"C25P04")
}

/// Returns whether an error is about the statement itself, and not from within it: then the server
/// says where. Of a long error the end is not there, and nobody knows.
fn is_direct(fields: &[u8]) -> bool {
    let is_whole = fields.ends_with(b"\0\0");
    let mut fields = fields.split(|byte| *byte == 0);
    is_whole && !fields.any(|field| field.starts_with(b"W"))
}

/// Returns whether an error of the server has this SQLSTATE.
fn has_code(fields: &[u8], code: &[u8]) -> bool {
    let mut fields = fields.split(|byte| *byte == 0);
    fields.any(|field| field == code)
}

/// What a wait ends with that took too long.
pub(crate) fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "there was no answer in time")
}

impl<T: AsyncRead + Unpin> Wired<T> {
    /// Reads what is answered to what went instead of something else.
    fn poll_detour(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut space = [MaybeUninit::uninit(); PIECE];
        while !self.detour.give(buffer) {
            let mut piece = ReadBuf::uninit(&mut space);
            if Pin::new(&mut self.stream)
                .poll_read(context, &mut piece)?
                .is_pending()
            {
                return self.await_limit(context);
            }
            let said = piece.filled();
            if said.is_empty() {
                break;
            }
            self.take_note(said)?;
            self.detour.hear(said);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Wired<T> {
    /// Sends what goes instead of what the driver sends, if that is in `bytes`. Returns whether it
    /// is.
    fn put_instead(&mut self, bytes: &[u8]) -> bool {
        let Some(instead) = self.pulse.take_instead() else {
            return false;
        };
        let Some((going, at)) = instead.put_into(bytes) else {
            // What the driver sends first is something that it still owed.
            self.pulse.put_instead(instead);
            return false;
        };
        let (first, rest) = going.split_at(at);
        let (before, after) = (self.requests(first), self.requests(rest));
        self.detour.begin(going, self.pulse.owed() + before);
        self.pulse.sent(before + after);
        true
    }

    /// Answers the driver, which begins a transaction that is open already. Returns whether that is
    /// what it does. Where answers to others are still owed it is left to the server, which then
    /// does nothing but warn.
    fn answers_begin(&mut self, bytes: &[u8]) -> bool {
        let is_answered = self.pulse.ends_taking_over()
            && is_begin(bytes)
            && self.pulse.owed() == 0
            && self.detour.is_over();
        if is_answered {
            self.detour.say_begun();
        }
        is_answered
    }

    /// Counts the requests in what is sent.
    fn requests(&mut self, bytes: &[u8]) -> u64 {
        let mut requests = 0;
        // The start-up, a query, a sync, a function call.
        self.sent.take(bytes, |kind, _| {
            requests += u64::from(matches!(kind, 0 | b'Q' | b'S' | b'F'));
        });
        requests
    }

    /// Sends what goes instead of something else, to its end.
    fn poll_going(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(bytes) = self.detour.going() {
            let Poll::Ready(length) = Pin::new(&mut self.stream).poll_write(context, bytes)? else {
                self.pulse.cannot_send();
                return Poll::Pending;
            };
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.detour.went(length);
            self.pulse.sent(0);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wired<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.pulse.looked(context.waker());
        this.check()?;
        if !this.detour.is_over() {
            return this.poll_detour(context, buffer);
        }
        let before = buffer.filled().len();
        if Pin::new(&mut this.stream)
            .poll_read(context, buffer)?
            .is_pending()
        {
            return this.await_limit(context);
        }
        let said = &buffer.filled()[before..];
        match said.is_empty() {
            true => Poll::Ready(Ok(())),
            false => Poll::Ready(this.take_note(said)),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wired<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        ready!(this.poll_going(context))?;
        if this.answers_begin(bytes) {
            // The driver looked for answers before it asked.
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(bytes.len()));
        }
        if this.put_instead(bytes) {
            // What does not go now goes with the flush that comes next.
            if let Poll::Ready(Err(error)) = this.poll_going(context) {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        this.look_ahead(bytes)?;
        let Poll::Ready(length) = Pin::new(&mut this.stream).poll_write(context, bytes)? else {
            this.pulse.cannot_send();
            return Poll::Pending;
        };
        if let Some(guard) = &mut this.guard {
            guard.ahead = guard.ahead.saturating_sub(length);
        }
        let requests = this.requests(&bytes[..length]);
        this.pulse.sent(requests);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        ready!(this.poll_going(context))?;
        // The driver reads before it writes, and not again until something moves: the limit of an
        // answer begins here.
        if let Poll::Ready(Err(over)) = this.await_limit(context) {
            return Poll::Ready(Err(over));
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check()?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

impl<T: TlsStream + Unpin> TlsStream for Wired<T> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}
