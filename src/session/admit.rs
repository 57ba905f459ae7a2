//! Admits messages before they are kept for sending: checks that a dedupe key is free and that a
//! bounded topic has room.
//!
//! Both checks run at the send and not at the end of the session, so that the closure gets the
//! answer and can go on without the message. Dedupe keys come first: a sender that waits for a key
//! must not hold a topic's room meanwhile. Both are part of the transaction, inside the savepoint
//! of the current part, and are undone with it.

use crate::dedupe::{self, KeyHolder, KeyWish, KnownHolders};
use crate::observe::{spans, trace};
use crate::session::messaging_session::MessagingSession;
use crate::session::savepoint::Savepoint;
use crate::session::transaction_state::TransactionState;
use crate::settings::Setting;
use crate::words::outcome::Sent;
use crate::words::rare::Remembered;
use crate::words::sqlstate::held_up;
use crate::words::{ErrorKind, MessageId, NewMessage, Outgoing, Result, classify};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl MessagingSession<'_> {
    /// Sends many messages with options, in order, and returns for each whether it is new or a
    /// duplicate. Takes one round trip for all dedupe keys together. Of several messages with the
    /// same key the first is sent.
    ///
    /// # Errors
    /// The same as [`send`](Self::send), for the first message at fault; then none is sent.
    ///
    /// ```no_run
    /// # fn f(session: &mut outtray::MessagingSession<'_>) -> outtray::Result<()> {
    /// use outtray::{NewMessage, Sent};
    /// use std::time::Duration;
    ///
    /// let orders = (0..1000).map(|id| {
    ///     let day = Duration::from_secs(86_400);
    ///     NewMessage::bytes("orders", [1, 2, 3]).dedupe(format!("order-{id}"), day)
    /// });
    /// let sent = session.send_all(orders)?;
    /// let new = sent.iter().filter(|sent| matches!(sent, Sent::New(_))).count();
    /// println!("{new} sent, {} were there already", sent.len() - new);
    /// # Ok(()) }
    /// ```
    pub fn send_all(
        &mut self,
        messages: impl IntoIterator<Item = NewMessage>,
    ) -> Result<Vec<Sent>> {
        let hooks = &self.process.send_hooks;
        let messages = messages.into_iter().map(|message| hooks.run(message));
        let messages: Vec<NewMessage> = messages.collect::<Result<_>>()?;
        for message in &messages {
            message.check(self.process.max_payload_bytes)?;
        }
        self.check_after(&messages)?;
        self.send_checked(messages)
    }

    /// Checks the topic, the payload and the options of a message as a send of this session does,
    /// without sending it. For senders of many messages that have to find the one at fault. Runs
    /// the [send hooks](crate::Builder::before_send).
    ///
    /// # Errors
    /// `Invalid`, `Payload`, `TooLarge`, or `Vetoed`.
    pub fn check(&self, message: &NewMessage) -> Result<()> {
        let hooked = self.process.send_hooks.run_on_copy(message)?;
        let message = hooked.as_ref().unwrap_or(message);
        message.check(self.process.max_payload_bytes)
    }

    /// Sets how long sends of this session wait for room in a full topic with a
    /// [`max_length`](crate::TopicConfig::max_length). Default zero: they fail at once with `Full`.
    /// The transaction stays open while they wait.
    pub fn wait_for_room(&mut self, timeout: Duration) {
        self.room_wait = timeout;
    }

    pub(crate) fn send_checked(&mut self, messages: Vec<NewMessage>) -> Result<Vec<Sent>> {
        let topics = messages.iter().map(|message| message.topic.as_str());
        spans::within(spans::send_many(topics, messages.len()), |_| {
            self.learn_settings()?;
            let messages = messages.into_iter();
            let outgoing: Vec<Outgoing> = messages.map(|message| self.outgoing(message)).collect();
            outgoing.iter().try_for_each(Outgoing::check_entry)?;
            self.send_together(outgoing)
        })
    }

    /// Sends all these messages except duplicates, or none if one is at fault.
    pub(crate) fn send_together(&mut self, messages: Vec<Outgoing>) -> Result<Vec<Sent>> {
        let sent = match messages.iter().any(Outgoing::is_asking) {
            true => self.admit(messages)?,
            false => messages
                .into_iter()
                .map(|outgoing| self.keep(outgoing).map(Sent::New))
                .collect::<Result<_>>()?,
        };
        self.store_if_joined()?;
        Ok(sent)
    }

    /// Reads the settings of topics in a joined session, unless it has read them already. All
    /// other sessions use those that the process knows.
    pub(crate) fn learn_settings(&mut self) -> Result<()> {
        if let TransactionState::Joined(transaction) = &mut self.transaction.state
            && self.settings.is_none()
        {
            self.settings = self.process.configs.refresh_within(&mut **transaction)?;
        }
        Ok(())
    }

    /// Returns the settings of a topic, or `None` if it has none.
    pub(crate) fn setting(&self, topic: &str) -> Option<Arc<Setting>> {
        match &self.settings {
            Some(settings) => settings.get(topic).cloned(),
            None => self.process.configs.get(topic),
        }
    }

    /// Gives a message an id, the defaults of its topic, and what it carries on from the current
    /// span and from the message in work.
    pub(crate) fn outgoing(&self, mut message: NewMessage) -> Outgoing {
        trace::carry(&mut message);
        let carried = self
            .cause
            .as_ref()
            .and_then(|cause| cause.carried_by(&message));
        Outgoing {
            carried,
            ..self.outgoing_alone(message)
        }
    }

    /// Gives a message an id and the defaults of its topic.
    pub(super) fn outgoing_alone(&self, message: NewMessage) -> Outgoing {
        let setting = self.setting(&message.topic);
        Outgoing::new(message, setting.as_ref().map(|setting| &setting.config))
    }

    /// Runs the hooks on a message, checks it, and gives it an id and the defaults of its topic.
    pub(crate) fn checked(&mut self, message: NewMessage) -> Result<Outgoing> {
        let message = self.process.send_hooks.run(message)?;
        self.checked_as_it_is(message)
    }

    /// Does the same for a message that has been through the hooks.
    pub(crate) fn checked_as_it_is(&mut self, message: NewMessage) -> Result<Outgoing> {
        message.check(self.process.max_payload_bytes)?;
        self.check_after(std::slice::from_ref(&message))?;
        self.learn_settings()?;
        let outgoing = self.outgoing(message);
        outgoing.check_entry()?;
        Ok(outgoing)
    }

    pub(crate) fn send_outgoing(&mut self, outgoing: Outgoing) -> Result<Sent> {
        let sent = match outgoing.is_asking() {
            true => self.admit(vec![outgoing])?.remove(0),
            false => Sent::New(self.keep(outgoing)?),
        };
        self.store_if_joined()?;
        Ok(sent)
    }

    /// Keeps all these messages except duplicates for sending, or none if one is at fault.
    pub(crate) fn admit(&mut self, messages: Vec<Outgoing>) -> Result<Vec<Sent>> {
        let sent = self.deduped(&messages)?;
        if let Err(error) = self.take_room(&messages, &sent) {
            if error.kind() == ErrorKind::Full {
                self.release(&messages, &sent)?;
            }
            return Err(error);
        }
        for (outgoing, sent) in messages.into_iter().zip(&sent) {
            if !sent.is_duplicate() {
                self.keep(outgoing)?;
            }
        }
        Ok(sent)
    }

    /// Takes the dedupe keys of the messages and returns which messages are new.
    fn deduped(&mut self, messages: &[Outgoing]) -> Result<Vec<Sent>> {
        let mut wishes: Vec<KeyWish<'_>> = Vec::new();
        let mut place_of = HashMap::new();
        for outgoing in messages {
            if let Some(wish) = wish(outgoing) {
                // Of several messages with the same key in one call, the first is sent.
                place_of.entry((wish.topic, wish.key)).or_insert_with(|| {
                    wishes.push(wish);
                    wishes.len() - 1
                });
            }
        }
        let holders = match wishes.is_empty() {
            true => Vec::new(),
            false => self.take_keys(&wishes)?,
        };
        let answer = |outgoing: &Outgoing| {
            let place = wish(outgoing).and_then(|wish| place_of.get(&(wish.topic, wish.key)));
            match place.map(|place| holders[*place]) {
                Some(holder) if holder.id != outgoing.id.0 => Sent::Duplicate(MessageId(holder.id)),
                _ => Sent::New(outgoing.id),
            }
        };
        Ok(messages.iter().map(answer).collect())
    }

    /// Takes the keys that are free and returns the holder of each. If the transaction has not
    /// begun, the statement travels in the flight of its BEGIN.
    fn take_keys(&mut self, wishes: &[KeyWish<'_>]) -> Result<Vec<KeyHolder>> {
        let known = self.ask_for_keys(wishes)?;
        self.transaction
            .ask(|run| dedupe::take(run, wishes, known))
            .map_err(|error| held_up(error, &named(wishes)))
    }

    /// Takes keys in the flight of BEGIN. Returns `None`, with nothing sent, if the transaction
    /// has begun already.
    fn ask_for_keys(&mut self, wishes: &[KeyWish<'_>]) -> Result<Option<KnownHolders>> {
        if self.process.needs_objects.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let answered = self
            .transaction
            .begin_with(|flight| dedupe::push_take(flight, wishes));
        let rows =
            answered.map_err(|error| held_up(classify(error, dedupe::DOING), &named(wishes)))?;
        let Some(rows) = rows else {
            return Ok(None);
        };
        let mut known = KnownHolders::default();
        for row in &rows {
            known.read(row)?;
        }
        Ok(Some(known))
    }

    /// Frees the keys of messages that are not sent after all.
    fn release(&mut self, messages: &[Outgoing], sent: &[Sent]) -> Result<()> {
        let wishes: Vec<KeyWish<'_>> = new_ones(messages, sent)
            .filter_map(|(outgoing, _)| wish(outgoing))
            .collect();
        if wishes.is_empty() {
            return Ok(());
        }
        self.transaction.ask(|run| dedupe::release(run, &wishes))
    }

    /// Takes the key of a piece of work that is to be done once. Returns the id of the run that did
    /// the work, or `None` if this run is the first.
    pub(crate) fn claim_work(
        &mut self,
        key: &str,
        window: Duration,
        id: uuid::Uuid,
    ) -> Result<Option<uuid::Uuid>> {
        let wish = KeyWish {
            topic: dedupe::NO_TOPIC,
            key,
            id,
            remembered: Remembered::For(window),
        };
        let holders = self.take_keys(&[wish])?;
        let other = holders.first().filter(|holder| holder.id != id);
        Ok(other.map(|holder| holder.id))
    }

    pub(super) fn keep(&mut self, outgoing: Outgoing) -> Result<MessageId> {
        let id = self.outbox.push(outgoing);
        self.store_if_full()?;
        Ok(id)
    }

    pub(super) fn store_if_full(&mut self) -> Result<()> {
        match self.outbox.is_full() {
            true => self.store_early(),
            false => Ok(()),
        }
    }

    /// Stores the messages of the current part before its end, inside its savepoint.
    fn store_early(&mut self) -> Result<()> {
        if self.transaction.savepoint == Savepoint::None {
            // What is stored cannot be matched again.
            self.settle_published()?;
        }
        let outbox = &mut self.outbox;
        self.transaction.ask(|run| outbox.store_part(run))
    }

    /// Stores what was sent so far, and looks at it inside the transaction: for tests.
    #[cfg(unix)]
    pub(crate) fn look_at_sent<R>(
        &mut self,
        look: impl FnOnce(&mut dyn crate::db::Run) -> Result<R>,
    ) -> Result<R> {
        self.store_early()?;
        self.transaction.ask(look)
    }

    /// Stores messages at once in a joined session: its caller commits at any time, without telling
    /// us.
    pub(super) fn store_if_joined(&mut self) -> Result<()> {
        match self.transaction.is_joined() {
            true => self.store_early(),
            false => Ok(()),
        }
    }
}

/// Names dedupe keys by the topics of their messages. The keys themselves are the caller's data and
/// stay out of error texts.
fn named(wishes: &[KeyWish<'_>]) -> String {
    match wishes {
        [] => "a dedupe key".to_owned(),
        [only] => format!("the dedupe key of a message to topic {}", only.topic),
        [first, ..] => format!(
            "a dedupe key of {} messages, to topic {} and others",
            wishes.len(),
            first.topic,
        ),
    }
}

pub(super) fn new_ones<'a>(
    messages: &'a [Outgoing],
    sent: &'a [Sent],
) -> impl Iterator<Item = (&'a Outgoing, &'a Sent)> {
    messages
        .iter()
        .zip(sent)
        .filter(|(_, sent)| !sent.is_duplicate())
}

fn wish(outgoing: &Outgoing) -> Option<KeyWish<'_>> {
    let (key, remembered) = outgoing.message.rare.dedupe.as_ref()?;
    Some(KeyWish {
        topic: &outgoing.message.topic,
        key,
        id: outgoing.id.0,
        remembered: *remembered,
    })
}
