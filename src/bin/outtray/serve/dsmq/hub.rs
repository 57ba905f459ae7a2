//! The event loop: one thread that owns all connections and never waits for one of them, nor for
//! the database.
//!
//! ```text
//!   sockets ──► hub ── errands ──► store ── INSERT ──► log
//!                ▲ ▲ ── look back ─► look_back ◄────────┤
//!                │ └──────── told ─────┘                │
//!                └────────── told ──── follow ◄─ Tail ──┘
//! ```
//!
//! It waits in one place, for sockets and for what the other threads tell. Each connection that has
//! something to do gets a turn of bounded length, one after the other.

use crate::serve::dsmq::closing::{Closing, ClosingKind};
use crate::serve::dsmq::complaints::Complaints;
use crate::serve::dsmq::connection::{ClientConnection, keep_alive};
use crate::serve::dsmq::limits::{ClientLimits, READ_AT_ONCE};
use crate::serve::dsmq::pending::Pending;
use crate::serve::dsmq::recent::Recent;
use crate::serve::dsmq::told::{Client, CommonGround, LookBack, StoreErrand, Told};
use crate::serve::dsmq::wire::Wire;
use crate::serve::listening::token::Gatekeeper;
use crossbeam_channel::{Receiver, Sender};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use outtray::LogPosition;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const LISTENER: Token = Token(0);
pub(crate) const WAKER: Token = Token(1);
const FIRST_CLIENT: Client = 2;

/// How often deadlines are looked at while somebody is connected.
const LOOK: Duration = Duration::from_millis(500);
/// How often while a get waits, which has a shorter one.
const SHORT_LOOK: Duration = Duration::from_millis(50);
/// What is heard from the other threads before sockets have their turn again.
const HEARD_AT_ONCE: usize = 64;

/// What the loop is made of.
pub(crate) struct Parts {
    pub(crate) poll: Poll,
    pub(crate) listener: TcpListener,
    pub(crate) told: Receiver<Told>,
    pub(crate) errands: Sender<StoreErrand>,
    pub(crate) look_back: Sender<LookBack>,
    pub(crate) known: Arc<CommonGround>,
    pub(crate) limits: ClientLimits,
    pub(crate) guard: Gatekeeper,
    /// The topic that is the log.
    pub(crate) topic: String,
    pub(crate) start: LogPosition,
}

pub(crate) struct Hub {
    pub(super) poll: Poll,
    /// Gone once the server stops.
    pub(super) listener: Option<TcpListener>,
    /// Whether somebody may wait to be accepted; it is said only once.
    pub(super) may_accept: bool,
    /// Who was accepted and has not entered.
    accepted: Vec<(TcpStream, SocketAddr)>,
    told: Receiver<Told>,
    /// Gone once nothing more will be put.
    pub(super) errands: Option<Sender<StoreErrand>>,
    pub(super) look_back: Sender<LookBack>,
    pub(super) known: Arc<CommonGround>,
    pub(super) limits: ClientLimits,
    pub(super) guard: Gatekeeper,
    pub(super) topic: String,
    pub(super) recent: Recent<LogPosition>,
    pub(super) pending: Pending,
    pub(super) connections: HashMap<Client, ClientConnection>,
    next_client: Client,
    /// Who has something to do, each once.
    ready: VecDeque<Client>,
    is_ready: HashSet<Client>,
    /// Who waits for an answer to a get.
    pub(super) waiting: HashSet<Client>,
    /// Who may put again when something was stored.
    pub(super) held_up: HashSet<Client>,
    /// Bytes of puts that are not stored yet, of all.
    pub(super) unstored: usize,
    /// Bytes of requests whose ends are not there, of all.
    pub(super) unfinished: usize,
    /// Since when the server stops.
    pub(super) stopping_since: Option<Instant>,
    pub(super) complaints: Complaints,
    looked_at: Instant,
    buffer: Vec<u8>,
}

impl Hub {
    pub(crate) fn new(parts: Parts) -> Self {
        Hub {
            poll: parts.poll,
            listener: Some(parts.listener),
            may_accept: true,
            accepted: Vec::new(),
            told: parts.told,
            errands: Some(parts.errands),
            look_back: parts.look_back,
            known: parts.known,
            recent: Recent::new(parts.start, parts.limits.buffer()),
            limits: parts.limits,
            guard: parts.guard,
            topic: parts.topic,
            pending: Pending::default(),
            connections: HashMap::new(),
            next_client: FIRST_CLIENT,
            ready: VecDeque::new(),
            is_ready: HashSet::new(),
            waiting: HashSet::new(),
            held_up: HashSet::new(),
            unstored: 0,
            unfinished: 0,
            stopping_since: None,
            complaints: Complaints::default(),
            looked_at: Instant::now(),
            buffer: vec![0; READ_AT_ONCE],
        }
    }

    /// Serves until it was told to stop and has nothing left to do. Returns how many bytes of puts
    /// were not stored.
    ///
    /// # Errors
    /// When the operating system cannot wait for sockets any more.
    pub(crate) fn run(mut self) -> io::Result<usize> {
        let mut events = Events::with_capacity(1024);
        loop {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                polled => polled?,
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.may_accept = true,
                    WAKER => {}
                    Token(client) => {
                        if let Some(connection) = self.connections.get_mut(&client) {
                            connection.is_readable |= event.is_readable();
                        }
                        self.has_to_do(client);
                    }
                }
            }
            self.hear();
            self.take_turns();
            self.enter_all();
            self.accept();
            if self.looked_at.elapsed() >= self.look_every() {
                self.looked_at = Instant::now();
                self.look_at_deadlines();
            }
            if self.has_stopped() {
                return Ok(self.unstored);
            }
        }
    }

    /// Returns how long nothing has to be done.
    fn timeout(&self) -> Option<Duration> {
        let is_idle = self.connections.is_empty() && self.stopping_since.is_none();
        // One who could not be accepted is not told again.
        let is_blocked = self.may_accept && self.listener.is_some();
        match (
            self.ready.is_empty() && self.told.is_empty() && self.accepted.is_empty(),
            is_idle && !is_blocked,
        ) {
            (false, _) => Some(Duration::ZERO),
            (true, true) => None,
            (true, false) => Some(self.look_every()),
        }
    }

    fn look_every(&self) -> Duration {
        match self.waiting.is_empty() && self.stopping_since.is_none() {
            true => LOOK,
            false => SHORT_LOOK,
        }
    }

    /// Gives a connection a turn.
    pub(super) fn has_to_do(&mut self, client: Client) {
        if self.connections.contains_key(&client) && self.is_ready.insert(client) {
            self.ready.push_back(client);
        }
    }

    fn take_turns(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(client) = self.ready.pop_front() else {
                break;
            };
            self.is_ready.remove(&client);
            let Some(mut connection) = self.connections.remove(&client) else {
                continue;
            };
            let before = connection.unfinished();
            let mut buffer = std::mem::take(&mut self.buffer);
            let has_more = self.turn(client, &mut connection, &mut buffer);
            self.buffer = buffer;
            self.unfinished = (self.unfinished + connection.unfinished()).saturating_sub(before);
            if connection.is_over() {
                self.leave(client, connection);
                continue;
            }
            self.connections.insert(client, connection);
            if has_more {
                self.has_to_do(client);
            }
        }
    }

    /// Forgets a connection.
    pub(super) fn leave(&mut self, client: Client, mut connection: ClientConnection) {
        let _ = self.poll.registry().deregister(&mut connection.socket);
        self.unfinished = self.unfinished.saturating_sub(connection.unfinished());
        self.waiting.remove(&client);
        self.held_up.remove(&client);
    }

    fn hear(&mut self) {
        for _ in 0..HEARD_AT_ONCE {
            let Ok(told) = self.told.try_recv() else {
                return;
            };
            self.hear_of(told);
        }
    }

    /// Accepts who waits to be. They enter in the next round, after the turns of others: what these
    /// had put before somebody connected has been read by then, though both may have come while
    /// this thread did not run.
    fn accept(&mut self) {
        while self.may_accept {
            let Some(listener) = &self.listener else {
                return;
            };
            let (socket, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.may_accept = false;
                    return;
                }
                Err(error) if is_of_one(error.kind()) => continue,
                Err(error) => {
                    // No more file descriptors: some may be free at the next look.
                    self.complaints.about("cannot accept a connection", &error);
                    return;
                }
            };
            if self.connections.len() + self.accepted.len() >= self.limits.most_connections() {
                let most = self.limits.most_connections();
                self.complaints.about(
                    &peer.to_string(),
                    &format!("there are {most} connections, and it is one more"),
                );
                continue;
            }
            self.accepted.push((socket, peer));
        }
    }

    fn enter_all(&mut self) {
        for (socket, peer) in std::mem::take(&mut self.accepted) {
            // Small replies go at once. It cannot be set for one who left again.
            let _ = socket.set_nodelay(true).and_then(|()| keep_alive(&socket));
            let wire = Wire::new(self.limits.bounds());
            let connection = ClientConnection::new(socket, peer, wire, self.guard.admits(peer));
            if let Err(error) = self.enter(connection) {
                self.complaints.about(&peer.to_string(), &error);
            }
        }
    }

    fn enter(&mut self, mut connection: ClientConnection) -> io::Result<()> {
        let client = self.next_client;
        self.next_client += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut connection.socket, Token(client), interest)?;
        tracing::debug!("{}: connected", connection.peer);
        if connection.is_admitted {
            self.join(client);
        }
        self.connections.insert(client, connection);
        self.has_to_do(client);
        Ok(())
    }

    /// Asks where in the log a connection begins: after what was put until now.
    pub(super) fn join(&mut self, client: Client) {
        if let Some(errands) = &self.errands {
            let _ = errands.send(StoreErrand::Join(client));
        }
    }

    /// Closes a connection for a reason, and tells operators about it.
    pub(super) fn close(
        &mut self,
        client: Client,
        connection: &mut ClientConnection,
        closing: Closing,
    ) {
        if connection.closing.is_some() {
            return;
        }
        match closing.kind {
            ClosingKind::GoingAway => tracing::debug!("{}: {closing}", connection.peer),
            _ => self
                .complaints
                .about(&connection.peer.to_string(), &closing),
        }
        self.waiting.remove(&client);
        self.held_up.remove(&client);
        connection.close(closing);
    }
}

/// Returns whether a client left before it was accepted.
fn is_of_one(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
    )
}
