//! A connection's turn: read, serve its requests, send the replies.

use crate::serve::dsmq::closing::{Closing, ClosingKind};
use crate::serve::dsmq::connection::{ClientConnection, WaitsFor, WantedMessage};
use crate::serve::dsmq::hub::Hub;
use crate::serve::dsmq::limits::{MOST_QUEUES, MOST_UNSTORED, SERVED_AT_ONCE};
use crate::serve::dsmq::recent::Recalled;
use crate::serve::dsmq::request::Request;
use crate::serve::dsmq::told::{Client, LookBack, Put, StoreErrand};
use crate::serve::dsmq::websocket::Knock;
use crate::serve::dsmq::wire::WireHeard;
use outtray::NewMessage;
use std::sync::Arc;
use std::time::Instant;

/// What a get answers when there is nothing: an empty text.
const EMPTY: &str = "\"\"";
/// A put counts for so many bytes beside its message.
const PUT_OVERHEAD: usize = 256;

impl Hub {
    /// Gives a connection its turn. Returns whether it could go on at once.
    pub(super) fn turn(
        &mut self,
        client: Client,
        connection: &mut ClientConnection,
        buffer: &mut [u8],
    ) -> bool {
        if connection.closing.is_some() {
            // Until its client has closed, too: what is unread would cut off the last word.
            connection.read(buffer);
            connection.has_more = false;
            connection.write();
            return connection.is_readable;
        }
        self.retry_put(client, connection);
        // What has come is served before more is read.
        if connection.may_ask() && !connection.has_more && !connection.is_drained {
            connection.read(buffer);
            connection.is_drained = self.stopping_since.is_some() && !connection.is_readable;
        }
        if let Err(closing) = self.serve(client, connection) {
            self.close(client, connection, closing);
        }
        let room = self.limits.buffer() + self.limits.bounds().largest;
        if self.unfinished + connection.unfinished() > room {
            let closing = Closing::policy("the server has no more room for unfinished requests");
            self.close(client, connection, closing);
        }
        connection.write();
        self.note_times(connection);
        let may_read = connection.is_readable && !connection.is_drained;
        (may_read || connection.has_more) && connection.may_ask()
    }

    /// Serves what has come, up to the share of one turn.
    fn serve(&mut self, client: Client, connection: &mut ClientConnection) -> Result<(), Closing> {
        for _ in 0..SERVED_AT_ONCE {
            if !connection.has_more || !connection.may_ask() {
                return Ok(());
            }
            match connection.wire.next()? {
                WireHeard::Nothing => connection.has_more = false,
                WireHeard::Knock(knock) => self.answer_knock(client, connection, knock)?,
                WireHeard::Request(bytes) => {
                    connection.request_since = None;
                    let request = Request::parse(&bytes).map_err(Closing::failed)?;
                    self.answer(client, connection, request)?;
                }
                WireHeard::Farewell => {
                    connection.has_more = false;
                    let farewell = Closing::new(ClosingKind::GoingAway, "the client closed");
                    self.close(client, connection, farewell);
                }
            }
        }
        Ok(())
    }

    fn answer_knock(
        &mut self,
        client: Client,
        connection: &mut ClientConnection,
        knock: Box<Knock>,
    ) -> Result<(), Closing> {
        connection.request_since = None;
        if !connection.is_admitted {
            if !self.guard.accepts_header(knock.authorization.as_deref()) {
                return Err(Closing::new(ClosingKind::Unknown, "a token is needed"));
            }
            connection.is_admitted = true;
            self.join(client);
        } else if knock.has_origin {
            // Any page that a browser shows could do so, in the name of whoever looks at it.
            return Err(Closing::policy(
                "pages of browsers may not connect without a token",
            ));
        }
        match connection.start {
            Some(_) => connection.wire.open(*knock),
            None => connection.knock = Some(knock),
        }
        Ok(())
    }

    fn answer(
        &mut self,
        client: Client,
        connection: &mut ClientConnection,
        request: Request,
    ) -> Result<(), Closing> {
        if let Request::Token(token) = &request {
            if !self.guard.accepts(token) {
                return Err(Closing::new(ClosingKind::Unknown, "the token is wrong"));
            }
            if !std::mem::replace(&mut connection.is_admitted, true) {
                self.join(client);
            }
            return Ok(());
        }
        if !connection.is_admitted {
            return Err(Closing::new(ClosingKind::Unknown, "a token is needed"));
        }
        match request {
            Request::Put { queue, message } => self.put(client, connection, queue.into(), message),
            Request::Get { queue } => self.get(client, connection, queue.into(), false),
            Request::GetLatest { queue } => self.get(client, connection, queue.into(), true),
            Request::Shutdown if self.guard.allows_shutdown() => {
                tracing::info!("{}: asks the server to stop", connection.peer);
                self.stop();
                Ok(())
            }
            Request::Shutdown => Err(Closing::policy(
                "this server is not to be stopped from here",
            )),
            Request::Token(_) => Ok(()),
        }
    }

    /// Goes on with a put for which there was no room.
    fn retry_put(&mut self, client: Client, connection: &mut ClientConnection) {
        if let Some((queue, text)) = connection.held.take()
            && let Err(closing) = self.put(client, connection, queue, text)
        {
            self.close(client, connection, closing);
        }
    }

    /// Hands a put on to be stored. One for which there is no room waits, and its connection is not
    /// read from meanwhile.
    fn put(
        &mut self,
        client: Client,
        connection: &mut ClientConnection,
        queue: Arc<str>,
        text: String,
    ) -> Result<(), Closing> {
        if connection.unstored > MOST_UNSTORED || self.unstored > self.limits.buffer() {
            self.held_up.insert(client);
            connection.held = Some((queue, text));
            return Ok(());
        }
        let bytes = text.len() + queue.len() + PUT_OVERHEAD;
        // Text that this JSON cannot be, such as a lone surrogate, is kept as bytes.
        let message = NewMessage::json_text(&self.topic, text.as_str())
            .unwrap_or_else(|_| NewMessage::bytes(&self.topic, text))
            .key(&*queue);
        let Some(errands) = &self.errands else {
            return Err(Closing::new(ClosingKind::GoingAway, "the server stops"));
        };
        let serial = self.pending.add(&queue);
        let put = Put {
            client,
            serial,
            queue,
            message,
            bytes,
        };
        if errands.send(StoreErrand::Put(put)).is_err() {
            return Err(Closing::failed("the server cannot store messages any more"));
        }
        connection.unstored += bytes;
        self.unstored += bytes;
        Ok(())
    }

    fn get(
        &mut self,
        client: Client,
        connection: &mut ClientConnection,
        queue: Arc<str>,
        is_latest: bool,
    ) -> Result<(), Closing> {
        let wanted = WantedMessage {
            queue,
            is_latest,
            upto: self.pending.last(),
            since: Instant::now(),
            waits_for: WaitsFor::Joining,
        };
        self.look(client, connection, wanted, self.stopping_since.is_none())
    }

    /// Answers a get, or has it wait.
    pub(super) fn look(
        &mut self,
        client: Client,
        connection: &mut ClientConnection,
        mut wanted: WantedMessage,
        may_wait: bool,
    ) -> Result<(), Closing> {
        let is_awaited = may_wait
            && !self.known.is_away()
            && self.pending.is_awaited(&wanted.queue, wanted.upto);
        let known = match connection.start {
            None => Recalled::Nothing,
            // A newer one is on its way.
            Some(_) if wanted.is_latest && is_awaited => Recalled::Nothing,
            Some(start) => connection.look(&self.recent, &wanted, start),
        };
        match known {
            Recalled::Message(stored) => {
                self.waiting.remove(&client);
                if connection.got(&wanted, stored.place) > MOST_QUEUES {
                    return Err(Closing::policy(format!(
                        "it reads more than {MOST_QUEUES} queues"
                    )));
                }
                return connection.wire.reply(&stored.message);
            }
            Recalled::UpTo(upto) if may_wait => {
                let Some(start) = connection.start else {
                    return Ok(());
                };
                wanted.waits_for = WaitsFor::LookingBack;
                let _ = self.look_back.send(LookBack {
                    client,
                    queue: Arc::clone(&wanted.queue),
                    after: connection.place(&wanted.queue, start),
                    upto,
                    is_latest: wanted.is_latest,
                });
            }
            _ if may_wait && connection.start.is_none() => wanted.waits_for = WaitsFor::Joining,
            _ if is_awaited => wanted.waits_for = WaitsFor::Puts,
            _ => {
                self.waiting.remove(&client);
                return connection.wire.reply(EMPTY);
            }
        }
        self.waiting.insert(client);
        connection.wanted = Some(wanted);
        Ok(())
    }

    /// Goes on with a get that waited.
    pub(super) fn look_again(&mut self, client: Client, may_wait: bool) {
        let Some(mut connection) = self.connections.remove(&client) else {
            return;
        };
        if let Some(wanted) = connection.wanted.take()
            && let Err(closing) = self.look(client, &mut connection, wanted, may_wait)
        {
            self.close(client, &mut connection, closing);
        }
        self.connections.insert(client, connection);
        self.has_to_do(client);
    }

    fn note_times(&self, connection: &mut ClientConnection) {
        let is_on_its_way = connection.wire.unfinished() > 0 && !connection.has_more;
        match is_on_its_way && connection.may_ask() {
            false => connection.request_since = None,
            true => {
                connection.request_since.get_or_insert_with(Instant::now);
            }
        }
    }
}
