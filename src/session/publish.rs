//! Publishing in a session: matched at once, with what the process knows if that is young enough,
//! and otherwise with what the transaction is told. See `publish` for why that is right.

use crate::connect::caller_sql::CallerSql;
use crate::connect::connection::Connection;
use crate::db::Flight;
use crate::observe::{spans, trace};
use crate::publish::index::Index;
use crate::publish::{self, ROUTING_KEY, Seen, cache};
use crate::session::messaging_session::MessagingSession;
use crate::session::savepoint::Savepoint;
use crate::words::outcome::Sent;
use crate::words::pattern::check_key;
use crate::words::{Error, ErrorKind, MessageId, NewMessage, Outgoing, Result, classify};
use serde::Serialize;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Where a message went that was [published](MessagingSession::publish).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Published {
    /// The number of topics that got a copy. 0: nobody subscribed, and nothing was stored.
    pub copies: usize,
    /// The number of topics in which an earlier message has the same dedupe key, so that they got
    /// none.
    pub duplicates: usize,
    /// The ids of the copies, in the order of their topics' names.
    pub ids: Vec<MessageId>,
}

impl Published {
    fn of(ids: impl Iterator<Item = MessageId>) -> Self {
        let ids: Vec<MessageId> = ids.collect();
        Published {
            copies: ids.len(),
            duplicates: 0,
            ids,
        }
    }
}

impl MessagingSession<'_> {
    /// Publishes a JSON message: stores a copy in every topic with a subscription whose pattern
    /// matches the routing key, as part of the transaction. A topic gets one copy, however many of
    /// its patterns match. [`Messaging::subscribe`](crate::Messaging::subscribe) says what patterns
    /// are.
    ///
    /// The key has segments between dots, such as `orders.created`: up to 200 bytes of what a
    /// topic's name may have, no segment empty. Each copy has it as its header
    /// `outtray-routing-key`, and is otherwise a message as if it had been
    /// [sent](Self::send_message) to that topic.
    ///
    /// Whoever subscribed before the call, in whichever process, gets a copy; whoever unsubscribed
    /// before it gets none. Subscriptions that come or go between the call and COMMIT may or may
    /// not count; the copies are those of one moment in between. That holds at every isolation
    /// level: subscriptions are not part of what a REPEATABLE READ transaction sees unchanged.
    ///
    /// Blocks for a round trip if this process published nothing in the last few milliseconds, and
    /// always in a [joined](Self::join) session. The copies travel with what the session sends. If
    /// subscriptions change meanwhile, a session finds out whom to send to again before it commits,
    /// and a handler's transaction runs again, without an attempt spent.
    ///
    /// # Errors
    /// `Invalid` for a bad routing key; `Payload`, `TooLarge` and `Full` as for a send: then no
    /// topic gets a copy. Where it asks the database, also the kinds of [`execute`](Self::execute).
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// messaging.subscribe("orders.*", "billing")?;
    /// messaging.subscribe("#", "audit")?;
    /// let published = messaging.session(|session| {
    ///     Ok(session.publish("orders.created", &serde_json::json!({"order": 42}))?)
    /// })?;
    /// assert_eq!(published.copies, 2);
    /// # Ok(()) }
    /// ```
    pub fn publish<T: Serialize + ?Sized>(&mut self, key: &str, payload: &T) -> Result<Published> {
        check_key(key)?;
        self.publish_message(key, NewMessage::json(key, payload)?)
    }

    /// Publishes a message with options, which all copies have: priority, key, headers, times,
    /// dedupe key and the others. Its topic means nothing here; a header `outtray-routing-key` is
    /// replaced. See [`publish`](Self::publish).
    ///
    /// # Errors
    /// The same as [`publish`](Self::publish), and `Invalid` as for [`send`](Self::send);
    /// `NoSubscription` if it is [`mandatory`](NewMessage::mandatory) and nobody subscribed.
    ///
    /// ```no_run
    /// # fn f(session: &mut outtray::MessagingSession<'_>) -> outtray::Result<()> {
    /// # use outtray::NewMessage;
    /// let message = NewMessage::bytes("", [1, 2, 3]).header("region", "eu").mandatory();
    /// session.publish_message("orders.created", message)?;
    /// # Ok(()) }
    /// ```
    pub fn publish_message(&mut self, key: &str, message: NewMessage) -> Result<Published> {
        spans::within(spans::publish(key), |span| {
            let published = self.published(key, message);
            published.inspect(|published| spans::note_count(span, published.copies))
        })
    }

    fn published(&mut self, key: &str, message: NewMessage) -> Result<Published> {
        let message = self.publication(key, message)?;
        if !self.transaction.is_joined()
            && let Some(index) = self.process.subscriptions.fresh()
            && let Some(published) = self.publish_as_known(key, &message, &index)
        {
            return published;
        }
        self.publish_as_asked(key, &message)
    }

    /// Publishes the one message of a session that has nothing else to do: with whatever the
    /// process knows, since what is committed is told afterwards.
    pub(crate) fn publish_alone(&mut self, key: &str, message: NewMessage) -> Result<Published> {
        let message = self.publication(key, message)?;
        if let Some(index) = self.process.subscriptions.known()
            && let Some(published) = self.publish_as_known(key, &message, &index)
        {
            return published;
        }
        self.publish_as_asked(key, &message)
    }

    /// Checks what is to be published.
    fn publication(&mut self, key: &str, message: NewMessage) -> Result<NewMessage> {
        check_key(key)?;
        let mut message = message;
        if self.process.send_hooks.are_any() {
            key.clone_into(&mut message.topic);
            message = self.process.send_hooks.run(message)?;
        }
        let mut message = message.header(ROUTING_KEY, key);
        // A key is made as a topic's name is.
        key.clone_into(&mut message.topic);
        message.check(self.process.max_payload_bytes)?;
        // Subscriptions may have filters on these headers, too.
        trace::carry(&mut message);
        message.carry(self.cause.as_ref());
        self.check_after(slice::from_ref(&message))?;
        self.learn_settings()?;
        message.content = message.content.shared();
        Ok(message)
    }

    /// Keeps copies for those who are known, to be checked when they are stored. Returns `None`,
    /// with nothing kept, for what cannot be made undone: room and dedupe keys are taken from
    /// others, ids of tracked copies are told, and an error is final.
    fn publish_as_known(
        &mut self,
        key: &str,
        message: &NewMessage,
        index: &Index,
    ) -> Option<Result<Published>> {
        if message.rare.dedupe.is_some() || message.rare.tracked_for.is_some() {
            return None;
        }
        let copies = match self.copies(key, message, index) {
            Ok(copies) => copies,
            Err(error) => return Some(Err(error)),
        };
        let is_final = copies.is_empty() && message.rare.is_mandatory;
        if is_final || copies.iter().any(Outgoing::is_asking) {
            return None;
        }
        let published = Published::of(copies.iter().map(|copy| copy.id));
        // A handler's transaction runs again instead.
        let is_matched_again = self.transaction.savepoint == Savepoint::None;
        let original = is_matched_again.then(|| (key.to_owned(), message.clone()));
        self.outbox
            .push_matched(Some(index.version()), original, copies);
        Some(self.store_if_full().map(|()| published))
    }

    /// Asks who subscribed, and sends to them.
    fn publish_as_asked(&mut self, key: &str, message: &NewMessage) -> Result<Published> {
        let index = self.ask_for_subscriptions()?;
        let copies = self.copies(key, message, &index)?;
        if copies.is_empty() && message.rare.is_mandatory {
            return Err(nobody(key));
        }
        let sent = self.send_together(copies)?;
        let new = sent.iter().filter(|sent| !sent.is_duplicate());
        let mut published = Published::of(new.map(|sent| sent.id()));
        published.duplicates = sent.len() - published.copies;
        Ok(published)
    }

    fn copies(&self, key: &str, message: &NewMessage, index: &Index) -> Result<Vec<Outgoing>> {
        let topics = index.topics(key, &message.headers, &message.rare.null_headers);
        let copy = |topic: &str| {
            let mut copy = message.clone();
            topic.clone_into(&mut copy.topic);
            let copy = self.outgoing_alone(copy);
            match copy.is_entry {
                true => self.entry(copy.message),
                false => Ok(copy),
            }
        };
        topics.into_iter().map(copy).collect()
    }

    /// Makes a copy for a log, in which nothing has a priority or an end. Who publishes need not
    /// know that somebody keeps a log of it.
    fn entry(&self, mut copy: NewMessage) -> Result<Outgoing> {
        copy.priority = 0;
        if copy.rare.expires_in.is_some() || copy.rare.tracked_for.is_some() {
            copy.rare.expires_in = None;
            copy.rare.tracked_for = None;
        }
        let entry = self.outgoing_alone(copy);
        entry.check_entry()?;
        Ok(entry)
    }

    /// Returns the subscriptions that there are now: in one round trip, with which a transaction of
    /// ours begins if it did not.
    fn ask_for_subscriptions(&mut self) -> Result<Arc<Index>> {
        let known = self.process.subscriptions.known();
        let version = cache::version(known.as_ref());
        let asked_at = Instant::now();
        // It may have become a role that may not look.
        let caller_sql = self.transaction.state.caller_sql();
        let seen = match caller_sql.is_some_and(CallerSql::has_set) {
            true => self.look_elsewhere(version)?,
            false => match self.look(version)? {
                seen if seen.is_latest => seen,
                _ => self.look_elsewhere(version)?,
            },
        };
        let subscriptions = &self.process.subscriptions;
        let (index, unreadable) = subscriptions.learn(known, seen, asked_at);
        unreadable.iter().for_each(|one| tracing::warn!("{one}"));
        Ok(index)
    }

    fn look(&mut self, version: publish::KnownVersion) -> Result<Seen> {
        if !self.process.needs_objects.load(Ordering::Relaxed) {
            let push = |flight: &mut Flight| publish::push_look(flight, version);
            let answered = self.transaction.begin_with(push);
            let rows = answered.map_err(|error| classify(error, publish::LOOKING))?;
            if let Some(rows) = rows {
                return publish::looked(&rows);
            }
        }
        self.transaction.ask(|run| publish::look(run, version))
    }

    /// Asks on another connection, where this transaction sees only what was there when it began,
    /// or is not ours as it was.
    fn look_elsewhere(&self, version: publish::KnownVersion) -> Result<Seen> {
        let mut connection: Connection = self.process.dedicated.take()?;
        let mut seen = publish::look(&mut connection, version)?;
        // One statement, whatever the isolation level of its transaction.
        seen.is_latest = true;
        self.process.dedicated.give_back(connection);
        Ok(seen)
    }

    /// Sees that the copies of all that was published are right: asks, and makes others if they are
    /// not.
    pub(super) fn settle_published(&mut self) -> Result<()> {
        let Some(version) = self.outbox.matched_version() else {
            return Ok(());
        };
        let settled = self.ask_for_subscriptions().and_then(|index| {
            let publications = self.outbox.take_matched();
            if index.version() == version {
                return Ok(());
            }
            publications.iter().try_for_each(|publication| {
                let old = self.outbox.take_copies(publication);
                let (key, message) = (&publication.key, &publication.message);
                let copies = self.match_again(key, message, &index, old)?;
                self.outbox.put_copies(publication, copies);
                Ok(())
            })
        });
        if let Err(error) = &settled {
            // Who published was told that it worked.
            self.outbox.break_matched(error);
        }
        settled
    }

    /// Makes copies for those who subscribed; those who had one before keep it.
    fn match_again(
        &mut self,
        key: &str,
        message: &NewMessage,
        index: &Index,
        mut old: Vec<Outgoing>,
    ) -> Result<Vec<Outgoing>> {
        let (mut copies, mut new) = (Vec::new(), Vec::new());
        for copy in self.copies(key, message, index)? {
            let is_same = |old: &Outgoing| old.message.topic == copy.message.topic;
            match old.iter().position(is_same) {
                Some(place) => copies.push(old.swap_remove(place)),
                None => new.push(copy),
            }
        }
        if copies.is_empty() && new.is_empty() && message.rare.is_mandatory {
            return Err(nobody(key));
        }
        let sent: Vec<Sent> = new.iter().map(|copy| Sent::New(copy.id)).collect();
        self.take_room(&new, &sent)?;
        copies.extend(new);
        copies.sort_by(|one, other| one.message.topic.cmp(&other.message.topic));
        Ok(copies)
    }

    /// Stores what was published and all else that was sent, and commits, in one flight that checks
    /// first. Returns false, with the transaction open or not begun, if that is to be done step by
    /// step: what was published is right then.
    pub(super) fn commit_published(&mut self) -> Result<bool> {
        let Some(version) = self.outbox.matched_version() else {
            return Ok(false);
        };
        if !self.outbox.can_fly() {
            return self.settle_published().map(|()| false);
        }
        let started = Instant::now();
        if self.fly_published(version)? {
            self.process.subscriptions.checked(version, started);
            return Ok(true);
        }
        self.process.subscriptions.failed();
        self.settle_published().map(|()| false)
    }
}

fn nobody(key: &str) -> Error {
    Error::new(
        ErrorKind::NoSubscription,
        format!("nobody subscribed to routing key \"{key}\", and the message is mandatory"),
    )
}
