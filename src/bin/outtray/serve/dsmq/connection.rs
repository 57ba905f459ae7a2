//! One client: its socket, its bytes, and how far it has read.

use crate::serve::dsmq::closing::Closing;
use crate::serve::dsmq::limits::{MOST_UNREAD, READ_AT_ONCE};
use crate::serve::dsmq::recent::{Placed, Recalled, Recent};
use crate::serve::dsmq::websocket::Knock;
use crate::serve::dsmq::wire::Wire;
use mio::net::TcpStream;
use outtray::LogPosition;
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A get that is not answered yet.
#[derive(Debug, Clone)]
pub(crate) struct WantedMessage {
    pub(crate) queue: Arc<str>,
    pub(crate) is_latest: bool,
    /// The last put of any connection when it was asked.
    pub(crate) upto: u64,
    pub(crate) since: Instant,
    pub(crate) waits_for: WaitsFor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    /// The place in the log where the connection begins.
    Joining,
    /// What was taken before it, to come out of the log.
    Puts,
    /// What is in the log alone.
    LookingBack,
}

/// How far a connection has read one queue.
#[derive(Debug)]
struct Reading {
    /// All up to here was delivered, or is in `ahead`.
    after: LogPosition,
    /// What was read from the log in advance.
    ahead: VecDeque<Placed<LogPosition>>,
}

#[derive(Debug)]
pub(crate) struct ClientConnection {
    pub(crate) socket: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) wire: Wire,
    /// Where in the log it begins, once that is known.
    pub(crate) start: Option<LogPosition>,
    /// Whether it may ask for something.
    pub(crate) is_admitted: bool,
    /// A client that waits to be let in.
    pub(crate) knock: Option<Box<Knock>>,
    pub(crate) wanted: Option<WantedMessage>,
    /// A put for which there was no room: its queue and its message.
    pub(crate) held: Option<(Arc<str>, String)>,
    /// Bytes of puts that are not stored yet.
    pub(crate) unstored: usize,
    /// Whether the socket may have something; it says so only once.
    pub(crate) is_readable: bool,
    /// Whether the client has nothing more to say.
    pub(crate) is_at_end: bool,
    /// Whether all was read that had come when the server was told to stop.
    pub(crate) is_drained: bool,
    /// Whether requests may wait in the wire.
    pub(crate) has_more: bool,
    /// Why and since when it is being closed.
    pub(crate) closing: Option<(Closing, Instant)>,
    /// Whether the last word has been sent.
    is_shut: bool,
    pub(crate) accepted: Instant,
    pub(crate) last_heard: Instant,
    /// Since when a request is on its way.
    pub(crate) request_since: Option<Instant>,
    /// Since when no reply was taken.
    pub(crate) unread_since: Option<Instant>,
    readings: HashMap<Arc<str>, Reading>,
}

impl ClientConnection {
    pub(crate) fn new(socket: TcpStream, peer: SocketAddr, wire: Wire, is_admitted: bool) -> Self {
        let now = Instant::now();
        ClientConnection {
            socket,
            peer,
            wire,
            start: None,
            is_admitted,
            knock: None,
            wanted: None,
            held: None,
            unstored: 0,
            is_readable: true,
            is_at_end: false,
            is_drained: false,
            has_more: false,
            closing: None,
            is_shut: false,
            accepted: now,
            last_heard: now,
            request_since: None,
            unread_since: None,
            readings: HashMap::new(),
        }
    }

    /// Returns whether its next request may be served: one after the other, and only as fast as
    /// replies are taken.
    pub(crate) fn may_ask(&self) -> bool {
        self.closing.is_none()
            && self.wanted.is_none()
            && self.held.is_none()
            && self.knock.is_none()
            && self.wire.output().len() <= MOST_UNREAD
    }

    /// Returns how many bytes have come of a request whose end has not. Requests that wait for
    /// their turn are none: what comes behind them is not read.
    pub(crate) fn unfinished(&self) -> usize {
        match self.has_more || self.held.is_some() {
            true => 0,
            false => self.wire.unfinished(),
        }
    }

    /// Reads what the socket has, up to the share of one turn.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) {
        let mut count = 0;
        while self.is_readable && count < READ_AT_ONCE {
            match self.socket.read(buffer) {
                Ok(0) => self.end(),
                Ok(read) => {
                    count += read;
                    self.last_heard = Instant::now();
                    self.wire.take(&buffer[..read]);
                    acknowledge(&self.socket);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What it sent before is still good.
                Err(_) => self.end(),
            }
        }
        self.has_more |= count > 0;
    }

    fn end(&mut self) {
        self.is_at_end = true;
        self.is_readable = false;
    }

    /// Sends what waits, as much as the socket takes.
    pub(crate) fn write(&mut self) {
        while !self.wire.output().is_empty() {
            match self.socket.write(self.wire.output()) {
                Ok(count) if count > 0 => {
                    self.wire.sent(count);
                    self.unread_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unread_since.get_or_insert_with(Instant::now);
                    return;
                }
                // Nobody is there to read it.
                Ok(_) | Err(_) => {
                    self.wire.sent(self.wire.output().len());
                    self.end();
                }
            }
        }
        if self.closing.is_some() && !self.is_shut {
            self.is_shut = true;
            let _ = self.socket.shutdown(Shutdown::Write);
        }
    }

    /// Begins to close it, and says why.
    pub(crate) fn close(&mut self, closing: Closing) {
        if self.closing.is_some() {
            return;
        }
        self.wire.close(&closing);
        self.knock = None;
        self.wanted = None;
        self.held = None;
        self.has_more = false;
        self.closing = Some((closing, Instant::now()));
    }

    /// Returns whether nothing is left to do for it.
    pub(crate) fn is_over(&self) -> bool {
        let is_idle =
            self.wanted.is_none() && self.held.is_none() && self.knock.is_none() && !self.has_more;
        self.is_at_end && is_idle && self.wire.output().is_empty()
    }

    /// Looks for the answer to a get: first in what was read in advance, then in memory.
    pub(crate) fn look(
        &mut self,
        recent: &Recent<LogPosition>,
        wanted: &WantedMessage,
        start: LogPosition,
    ) -> Recalled<LogPosition> {
        let Some(reading) = self.readings.get_mut(&wanted.queue) else {
            return look_up(recent, wanted, start);
        };
        if wanted.is_latest {
            // What was read in advance is older than all else.
            return match recent.latest(&wanted.queue, reading.after) {
                Recalled::Nothing => reading
                    .ahead
                    .pop_back()
                    .map_or(Recalled::Nothing, Recalled::Message),
                known => known,
            };
        }
        match reading.ahead.pop_front() {
            Some(stored) => Recalled::Message(stored),
            None => look_up(recent, wanted, reading.after),
        }
    }

    /// Returns up to where it has read a queue.
    pub(crate) fn place(&self, queue: &str, start: LogPosition) -> LogPosition {
        self.readings
            .get(queue)
            .map_or(start, |reading| reading.after)
    }

    /// Remembers that a queue was read up to a place. Returns from how many queues it has read.
    pub(crate) fn got(&mut self, wanted: &WantedMessage, place: LogPosition) -> usize {
        let reading = self.reading(&wanted.queue, place);
        reading.after = reading.after.max(place);
        if wanted.is_latest {
            reading.ahead.clear();
        }
        self.readings.len()
    }

    /// Remembers what was read in advance: all of the queue up to `seen`.
    pub(crate) fn read_ahead(
        &mut self,
        queue: &Arc<str>,
        found: Vec<Placed<LogPosition>>,
        seen: LogPosition,
    ) {
        let reading = self.reading(queue, seen);
        reading.after = reading.after.max(seen);
        reading.ahead.extend(found);
    }

    fn reading(&mut self, queue: &Arc<str>, after: LogPosition) -> &mut Reading {
        self.readings
            .entry(Arc::clone(queue))
            .or_insert_with(|| Reading {
                after,
                ahead: VecDeque::new(),
            })
    }
}

/// Has the kernel acknowledge at once what was read. A put has no reply that could carry the
/// acknowledgement, and the kernel of a client that did not turn Nagle's algorithm off keeps the
/// get behind it back until it comes: 40 ms. The kernel forgets it again, so it is said each time.
fn acknowledge(socket: &TcpStream) {
    #[cfg(target_os = "linux")]
    let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

/// Has the kernel look now and then whether a silent client is still there.
pub(crate) fn keep_alive(socket: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt::set_socket_keepalive;
    set_socket_keepalive(socket, true)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt::{set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
        set_tcp_keepidle(socket, Duration::from_secs(60))?;
        set_tcp_keepintvl(socket, Duration::from_secs(10))?;
        set_tcp_keepcnt(socket, 3)?;
    }
    Ok(())
}

fn look_up(
    recent: &Recent<LogPosition>,
    wanted: &WantedMessage,
    after: LogPosition,
) -> Recalled<LogPosition> {
    match wanted.is_latest {
        true => recent.latest(&wanted.queue, after),
        false => recent.next(&wanted.queue, after),
    }
}
