//! What is asked of the database before a message is kept for sending: whether its dedupe key is
//! free, and whether its topic has room.
//!
//! Both are asked at the send and not at the end of the session, so that the answer reaches the
//! closure, which can go on without the message. The keys come first: a sender that waits for one
//! must not hold a topic's room. All of it is part of the transaction, inside the savepoint of the
//! message at hand, and is undone with it.

use crate::dedupe::{self, Holder, Known, Wish};
use crate::session::lent::Lent;
use crate::session::messaging_session::MessagingSession;
use crate::session::rooms::Load;
use crate::settings::Setting;
use crate::words::error::{ErrorKind, Result};
use crate::words::message::MessageId;
use crate::words::new_message::NewMessage;
use crate::words::outcome::{OnEnd, Sent};
use crate::words::outgoing::Outgoing;
use crate::words::rare::Remembered;
use crate::words::sqlstate::{classify, held_up};
use std::collections::{BTreeMap, HashMap};
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
        let messages: Vec<NewMessage> = messages.into_iter().collect();
        for message in &messages {
            message.check(self.kit.max_payload_bytes)?;
        }
        self.check_after(&messages)?;
        self.send_checked(messages)
    }

    /// Checks the topic, the payload and the options of a message as a send of this session does,
    /// without sending it. For senders of many messages that have to find the one at fault.
    ///
    /// # Errors
    /// `Invalid`, `Payload` or `TooLarge`.
    pub fn check(&self, message: &NewMessage) -> Result<()> {
        message.check(self.kit.max_payload_bytes)
    }

    /// Sets how long sends of this session wait for room in a full topic with a
    /// [`max_length`](crate::TopicConfig::max_length). Default zero: they fail at once with `Full`.
    /// The transaction stays open while they wait.
    pub fn wait_for_room(&mut self, timeout: Duration) {
        self.room_wait = timeout;
    }

    pub(crate) fn send_checked(&mut self, messages: Vec<NewMessage>) -> Result<Vec<Sent>> {
        self.learn_settings()?;
        let messages = messages.into_iter();
        let outgoing = messages.map(|message| self.outgoing(message)).collect();
        self.send_together(outgoing)
    }

    /// Sends all of these, but for duplicates, or none of them.
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

    /// Reads the settings of topics where nobody did for this session: in a transaction of the
    /// caller's.
    pub(crate) fn learn_settings(&mut self) -> Result<()> {
        if let Lent::Joined(transaction) = &mut self.lent
            && self.settings.is_none()
        {
            self.settings = self.kit.configs.refresh_within(&mut **transaction)?;
        }
        Ok(())
    }

    /// Returns what is set for a topic, if anything is.
    pub(crate) fn setting(&self, topic: &str) -> Option<Arc<Setting>> {
        match &self.settings {
            Some(settings) => settings.get(topic).cloned(),
            None => self.kit.configs.get(topic),
        }
    }

    /// Gives a message what its topic says, and an id.
    pub(crate) fn outgoing(&self, message: NewMessage) -> Outgoing {
        let setting = self.setting(&message.topic);
        Outgoing::new(message, setting.as_ref().map(|setting| &setting.config))
    }

    /// Keeps all of these for sending, but for duplicates, or none of them.
    pub(crate) fn admit(&mut self, messages: Vec<Outgoing>) -> Result<Vec<Sent>> {
        let sent = self.deduped(&messages)?;
        let mut loads = BTreeMap::<&str, Load>::new();
        for (outgoing, _) in new_ones(&messages, &sent) {
            if outgoing.on_end.has(OnEnd::BOUNDED) {
                let load = loads.entry(&outgoing.message.topic).or_default();
                load.messages += 1;
                let wait = outgoing.message.rare.room_wait.unwrap_or(self.room_wait);
                load.wait = load.wait.max(wait);
            }
        }
        if !loads.is_empty()
            && let Err(error) = self.take_rooms(&loads)
        {
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

    /// Takes the dedupe keys of those that have any, and says which are new.
    fn deduped(&mut self, messages: &[Outgoing]) -> Result<Vec<Sent>> {
        let mut wishes: Vec<Wish<'_>> = Vec::new();
        let mut place_of = HashMap::new();
        for outgoing in messages {
            if let Some(wish) = wish(outgoing) {
                // Of several with one key in a call the first is sent.
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

    /// Takes keys that are free; returns who has each. In the flight of BEGIN if the transaction
    /// did not begin.
    fn take_keys(&mut self, wishes: &[Wish<'_>]) -> Result<Vec<Holder>> {
        let mut known = None;
        if let Lent::Idle(_) = &self.lent
            && !self.kit.needs_objects.load(Ordering::Relaxed)
        {
            let flown = self
                .lent
                .fly_first(|flight| dedupe::push_take(flight, wishes));
            self.is_in_doubt |= flown.is_err();
            let rows =
                flown.map_err(|error| held_up(classify(error, dedupe::DOING), &named(wishes)))?;
            let mut taken = Known::default();
            for row in rows.iter().flatten() {
                taken.read(row)?;
            }
            known = Some(taken);
        }
        self.asking(|session| dedupe::take(session.lent.current()?, wishes, known))
            .map_err(|error| held_up(error, &named(wishes)))
    }

    /// Frees the keys of what is not sent after all.
    fn release(&mut self, messages: &[Outgoing], sent: &[Sent]) -> Result<()> {
        let wishes: Vec<Wish<'_>> = new_ones(messages, sent)
            .filter_map(|(outgoing, _)| wish(outgoing))
            .collect();
        if wishes.is_empty() {
            return Ok(());
        }
        self.asking(|session| dedupe::release(session.lent.current()?, &wishes))
    }

    /// Takes the key of a piece of work that is to be done once; returns who did it, if somebody
    /// did.
    pub(crate) fn claim_work(
        &mut self,
        key: &str,
        window: Duration,
        id: uuid::Uuid,
    ) -> Result<Option<uuid::Uuid>> {
        let wish = Wish {
            topic: dedupe::NO_TOPIC,
            key,
            id,
            remembered: Remembered::For(window),
        };
        let holders = self.take_keys(&[wish])?;
        let other = holders.first().filter(|holder| holder.id != id);
        Ok(other.map(|holder| holder.id))
    }

    /// Runs statements of ours in the transaction, which begins now if it did not, and in the
    /// savepoint of the message at hand.
    pub(crate) fn asking<T>(&mut self, ask: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.enter_savepoint()?;
        self.lent.begun()?;
        let asked = ask(self);
        let is_failed = asked
            .as_ref()
            .is_err_and(|error| error.kind() != ErrorKind::Full);
        self.is_in_doubt |= is_failed;
        asked
    }
}

/// Says whose dedupe keys they are. The keys are the caller's data, and stay out of error texts.
fn named(wishes: &[Wish<'_>]) -> String {
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

fn new_ones<'a>(
    messages: &'a [Outgoing],
    sent: &'a [Sent],
) -> impl Iterator<Item = (&'a Outgoing, &'a Sent)> {
    messages
        .iter()
        .zip(sent)
        .filter(|(_, sent)| !sent.is_duplicate())
}

fn wish(outgoing: &Outgoing) -> Option<Wish<'_>> {
    let (key, remembered) = outgoing.message.rare.dedupe.as_ref()?;
    Some(Wish {
        topic: &outgoing.message.topic,
        key,
        id: outgoing.id.0,
        remembered: *remembered,
    })
}
