//! What the event loop does with what the other threads tell it, with time that passes, and when it
//! is to stop.

use crate::serve::dsmq::closing::{Closing, ClosingKind};
use crate::serve::dsmq::connection::{ClientConnection, WaitsFor};
use crate::serve::dsmq::hub::Hub;
use crate::serve::dsmq::limits::LONGEST_GET;
use crate::serve::dsmq::recent::Recent;
use crate::serve::dsmq::told::{Arrival, Client, LookedBack, Told};
use outtray::LogPosition;
use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a client that is being closed may take to close, too.
const LINGER: Duration = Duration::from_secs(2);
/// The same while the server stops.
const SHORT_LINGER: Duration = Duration::from_millis(500);
/// How long connections are read from once the server stops.
const LAST_READ: Duration = Duration::from_secs(1);

const REMOVED: &str = "messages were removed before they were read";

impl Hub {
    pub(super) fn hear_of(&mut self, told: Told) {
        match told {
            Told::Arrived(arrivals, upto) => self.arrived(arrivals, upto),
            Told::Joined(clients, place) => {
                for client in clients {
                    self.joined(client, place);
                }
            }
            Told::Stored(puts) => {
                for (client, bytes) in puts {
                    self.stored(client, bytes);
                }
                self.go_on_putting();
            }
            Told::Refused(put, why) => {
                self.pending.remove(&put.queue, put.serial);
                self.stored(put.client, put.bytes);
                self.close_client(
                    put.client,
                    Closing::failed(format!("a put was refused: {why}")),
                );
                self.go_on_putting();
            }
            Told::LookedBack(looked) => self.looked_back(looked),
            Told::FellBehind(client) => self.close_client(client, Closing::failed(REMOVED)),
            Told::Gone(place) => self.begin_anew(place),
            Told::Stop => self.stop(),
            Told::StopNow => {
                self.stop();
                self.known.is_given_up.store(true, Ordering::Release);
            }
        }
    }

    /// Has those put again for whom there was no room.
    fn go_on_putting(&mut self) {
        for client in std::mem::take(&mut self.held_up) {
            self.has_to_do(client);
        }
    }

    /// Closes all, since nobody knows what they miss. Who comes next may begin before this place,
    /// and finds in the log what is not in memory.
    fn begin_anew(&mut self, place: LogPosition) {
        let clients: Vec<Client> = self.connections.keys().copied().collect();
        for client in clients {
            self.close_client(client, Closing::failed(REMOVED));
        }
        self.recent = Recent::new(place, self.limits.buffer());
        self.pending.clear();
        *self.known.heard() = place;
    }

    /// Takes messages out of the log into memory, and answers who waits for them.
    fn arrived(&mut self, arrivals: Vec<Arrival>, upto: LogPosition) {
        let mut queues = HashSet::new();
        for Arrival { id, queue, stored } in arrivals {
            let serial = self.known.under_way().remove(&id);
            if let Some(serial) = serial {
                self.pending.remove(&queue, serial);
            }
            self.recent.add(&queue, stored);
            queues.insert(queue);
        }
        *self.known.heard() = upto;
        let is_answered = |client: &Client| {
            let wanted = self.connections.get(client).and_then(|c| c.wanted.as_ref());
            wanted.is_some_and(|wanted| {
                wanted.waits_for == WaitsFor::Puts && queues.contains(&*wanted.queue)
            })
        };
        let clients: Vec<Client> = self.waiting.iter().copied().filter(is_answered).collect();
        for client in clients {
            self.look_again(client, true);
        }
    }

    fn joined(&mut self, client: Client, place: LogPosition) {
        let Some(connection) = self.connections.get_mut(&client) else {
            return;
        };
        connection.start = Some(place);
        if let Some(knock) = connection.knock.take() {
            connection.wire.open(*knock);
            connection.has_more = true;
        }
        self.look_again(client, true);
    }

    fn stored(&mut self, client: Client, bytes: usize) {
        self.unstored = self.unstored.saturating_sub(bytes);
        if let Some(connection) = self.connections.get_mut(&client) {
            connection.unstored = connection.unstored.saturating_sub(bytes);
        }
    }

    fn looked_back(&mut self, looked: LookedBack) {
        let LookedBack {
            client,
            queue,
            found,
            seen,
        } = looked;
        if let Some(connection) = self.connections.get_mut(&client) {
            let before = connection
                .start
                .map(|start| connection.place(&queue, start));
            if let Some(wanted) = &mut connection.wanted
                && before.is_some_and(|before| seen > before)
            {
                // It may take long, but it goes on.
                wanted.since = Instant::now();
            }
            connection.read_ahead(&queue, found, seen);
        }
        self.look_again(client, true);
    }

    /// Closes a connection that is not having its turn.
    fn close_client(&mut self, client: Client, closing: Closing) {
        let Some(mut connection) = self.connections.remove(&client) else {
            return;
        };
        self.close(client, &mut connection, closing);
        self.connections.insert(client, connection);
        self.has_to_do(client);
    }

    /// Closes who took too long, and lets gets wait no longer.
    pub(super) fn look_at_deadlines(&mut self) {
        let unfinished = self.connections.values().map(ClientConnection::unfinished);
        self.unfinished = unfinished.sum();
        let clients: Vec<Client> = self.connections.keys().copied().collect();
        for client in clients {
            let Some(connection) = self.connections.get(&client) else {
                continue;
            };
            if let Some((_, since)) = &connection.closing {
                if since.elapsed() >= self.linger() {
                    self.drop_client(client);
                }
                continue;
            }
            if let Some(closing) = self.overdue(connection) {
                // Whoever takes no replies will not take a last one.
                let is_deaf = connection.unread_since.is_some();
                self.close_client(client, closing);
                if is_deaf {
                    self.drop_client(client);
                }
                continue;
            }
            let is_tired = connection.wanted.as_ref().is_some_and(|wanted| {
                wanted.waits_for == WaitsFor::Puts
                    && (wanted.since.elapsed() >= LONGEST_GET || self.known.is_away())
            });
            if is_tired {
                self.look_again(client, false);
            }
        }
    }

    /// Returns why a connection took too long, if it did.
    fn overdue(&self, connection: &ClientConnection) -> Option<Closing> {
        let timeout = self.limits.client_timeout();
        let is_over =
            |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= timeout);
        if is_over(connection.unread_since) {
            return Some(Closing::policy("it does not read its replies"));
        }
        if is_over(connection.request_since) {
            return Some(Closing::policy("its request does not end"));
        }
        if !connection.is_admitted && connection.accepted.elapsed() >= timeout {
            return Some(Closing::new(ClosingKind::Unknown, "it shows no token"));
        }
        let wanted = connection
            .wanted
            .as_ref()
            .filter(|wanted| wanted.waits_for != WaitsFor::Puts);
        let knocked = connection.knock.as_ref().map(|_| connection.accepted);
        if is_over(wanted.map(|wanted| wanted.since)) || is_over(knocked) {
            return Some(Closing::failed("the database does not answer"));
        }
        let idle = self.limits.idle_timeout();
        let is_silent = idle.is_some_and(|idle| connection.last_heard.elapsed() >= idle);
        is_silent.then(|| Closing::policy("it was silent for too long"))
    }

    fn drop_client(&mut self, client: Client) {
        if let Some(connection) = self.connections.remove(&client) {
            self.leave(client, connection);
        }
    }

    /// Begins to stop: nobody else is let in, and each connection is served once more, for what has
    /// come until now.
    pub(super) fn stop(&mut self) {
        if self.stopping_since.is_some() {
            return;
        }
        self.stopping_since = Some(Instant::now());
        if let Some(mut listener) = self.listener.take() {
            let _ = self.poll.registry().deregister(&mut listener);
        }
        let clients: Vec<Client> = self.connections.keys().copied().collect();
        for client in clients {
            if let Some(connection) = self.connections.get_mut(&client) {
                connection.is_readable = true;
            }
            self.look_again(client, false);
        }
    }

    fn linger(&self) -> Duration {
        match self.stopping_since {
            None => LINGER,
            Some(_) => SHORT_LINGER,
        }
    }

    /// Returns whether the server has stopped, and goes on with it.
    pub(super) fn has_stopped(&mut self) -> bool {
        let Some(since) = self.stopping_since else {
            return false;
        };
        let is_late = since.elapsed() >= self.limits.stop_timeout() || self.known.is_given_up();
        let clients: Vec<Client> = self.connections.keys().copied().collect();
        for client in clients {
            let Some(connection) = self.connections.get(&client) else {
                continue;
            };
            if connection.closing.is_some() {
                continue;
            }
            let is_drained = connection.is_drained || since.elapsed() >= LAST_READ;
            let is_served = is_drained && !connection.has_more && connection.held.is_none();
            let is_stored = connection.unstored == 0 && connection.held.is_none();
            let closing = match is_stored {
                true if is_served || is_late => {
                    Closing::new(ClosingKind::GoingAway, "the server stops")
                }
                _ if is_late => {
                    Closing::failed("the server stops, and some puts could not be stored")
                }
                _ => continue,
            };
            if let Some((queue, text)) = &connection.held {
                self.unstored += queue.len() + text.len();
            }
            self.close_client(client, closing);
        }
        let is_stored = self.unstored == 0 || is_late;
        if is_late {
            self.known.is_given_up.store(true, Ordering::Release);
        }
        self.connections.is_empty() && is_stored
    }
}
