//! What must be known before handlers run and must outlive their transaction, without a second
//! connection.
//!
//! A worker that waits for a connection while it holds one in a transaction may wait for ever:
//! behind a pooler, or at the server's limit, all connections may be in the hands of workers that
//! wait too. So what must survive a rollback is written in a transaction of its own on the worker's
//! one connection, between two claims. The first claim finds out which messages there are. Then
//! come the notes, `COMMIT; BEGIN`, and a second claim of exactly those messages, all in one
//! flight. If another worker gets a message in between, the message is that worker's, and the note
//! of it has no effect.
//!
//! Only some claims need notes: those on suspect topics (what is in hand), of keys with a rate
//! (tokens), and the first claim of a receiver that was idle, which notes that it may have messages
//! in hand from now on.
//!
//! The notes need not survive the server: its crash frees all messages, and what is lost is a hint.
//! So they do not wait for the disk.

use crate::crashes::attempt::{self, Deaths};
use crate::crashes::liveness::Liveness;
use crate::crashes::presence;
use crate::crashes::quarantine::Pass;
use crate::db::commands;
use crate::db::{Flight, Statement, Value, sql};
use crate::message::claimed::{self, Claimed};
use crate::message::floor::Floors;
use crate::processes::running::UNSEEN_S;
use crate::rate_limit::tokens;
use crate::receive::claim::Taken;
use crate::receive::limits::InWork;
use crate::receive::transaction::careful;
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use crate::threads::mutex::Mutex;
use crate::words::{ClaimPlace, MessageId, Result};
use postgres::SimpleQueryRow;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

static HOLD_AGAIN: Statement = sql!("hold_again", Fenced);

impl<'s> WorkerTransaction<'s, '_, '_> {
    /// Returns whether there is something to write for a claim.
    pub(crate) fn needs_notes(&self, taken: &Taken) -> bool {
        let shared = self.shared;
        self.is_careful
            || shared.shift_to_note().is_some()
            || shared.limits.need_tokens(&taken.messages)
    }

    /// Writes the notes that must exist before the handlers run, and claims the messages again that
    /// may begin, at most `most`. Leaves no message if none may begin now. Returns the right to a
    /// careful delivery.
    pub(crate) fn write_notes(
        &mut self,
        taken: &mut Taken,
        most: usize,
    ) -> Result<Option<Pass<'s>>> {
        let (shared, is_careful) = (self.shared, self.is_careful);
        let topic = &shared.topic;
        let mut pass = None;
        if shared.options.is_strict {
            // Somebody else may have the turn meanwhile, and what follows a head must not be begun
            // without it.
            taken.messages.truncate(1);
        }
        let mut flight = self.session.open()?.flight();
        flight.command(&commands::WAIT_FOR_NO_DISK);
        if let Some(holder) = shared.holder(self.state.worker).filter(|_| is_careful) {
            taken.deaths = self.deaths(taken, holder.receiver)?;
            let (quarantine, terms) = (&shared.base.quarantine, shared.terms());
            pass = careful::choose(quarantine, &shared.floors, &terms, taken, most);
            if let Some(pass) = &pass {
                let ids = self.to_begin(taken).map(|message| message.held.id.0);
                let ids: Vec<Uuid> = ids.collect();
                attempt::push_take_in_hand(&mut flight, topic, holder, ids, pass.is_alone());
                self.state.noted = Some(holder);
            }
        }
        if taken.messages.is_empty() {
            taken.is_held_up = true;
            return Ok(None);
        }
        let messages: Vec<&Claimed> = self.to_begin(taken).collect();
        taken.grants = shared.limits.ask(self.session.open()?, &messages)?;
        if shared.options.is_strict
            && let Some(wait) = tokens::wait(taken.grants.as_ref())
        {
            // It is not put off: nothing would take its place, and nobody would look at it when its
            // key has a token again.
            taken.keep(&shared.floors, |_| false);
            taken.wait = Some(wait);
            return Ok(None);
        }
        let shift = shared.shift_to_note();
        if let Some((receiver, shift)) = shift {
            presence::push_note_shift(&mut flight, topic, receiver, shift);
        }
        flight.commit();
        flight.begin();
        self.hold_again(taken, flight)?;
        if let Some((_, shift)) = shift {
            shared.hands.wrote(shift);
        }
        if taken.messages.is_empty() {
            let unspent = tokens::unspent(taken.grants.take());
            self.state.loose.extend(unspent);
        }
        Ok(pass)
    }

    /// Returns the deaths of processes that had these messages in hand.
    fn deaths(&mut self, taken: &Taken, me: i64) -> Result<HashMap<MessageId, Deaths>> {
        let messages = taken.messages.iter();
        let ids: Vec<Uuid> = messages.map(|message| message.held.id.0).collect();
        let settings = self.shared.base.dedicated.settings();
        let liveness = Liveness {
            namespace: settings.schema.lock_namespace(),
            unseen_s: UNSEEN_S,
        };
        attempt::deaths(self.session.open()?, &self.shared.topic, &ids, me, liveness)
    }

    /// Returns the messages whose handlers are to run.
    fn to_begin<'t>(&self, taken: &'t Taken) -> impl Iterator<Item = &'t Claimed> + use<'t> {
        let terms = self.shared.terms();
        taken
            .messages
            .iter()
            .filter(move |message| !careful::is_over(message, taken.crashes(message), &terms))
    }

    /// Ends the transaction of the notes, begins the one of the handlers, and claims the same
    /// messages in it, with all that a claim needs in this topic. Leaves those it got.
    fn hold_again(&mut self, taken: &mut Taken, mut flight: Flight) -> Result<()> {
        let shared = self.shared;
        let is_strict = shared.options.is_strict;
        if shared.limits.max_in_work().is_none() && !is_strict {
            push_hold_again(&mut flight, &shared.topic, taken.messages.iter());
            let rows = self.fly(flight)?;
            self.session.note_begun();
            return keep_held(&shared.floors, taken, &rows);
        }
        self.fly(flight)?;
        self.session.note_begun();
        let mut in_work = shared.limits.inside(self.session.open()?)?;
        taken.is_used_up = matches!(in_work, InWork::UsedUp);
        if taken.is_used_up {
            taken.wait = shared.limits.ask_again();
        }
        if taken.is_used_up || (is_strict && !self.take_turn()?) {
            taken.keep(&shared.floors, |_| false);
            return Ok(());
        }
        let mut most = Some(taken.messages.len());
        while let Some(fewer) = most {
            let share = self.share(&mut in_work, fewer)?;
            let mut flight = self.session.open()?.flight();
            let first = taken.messages.iter().take(share);
            push_hold_again(&mut flight, &shared.topic, first);
            let rows = self.fly(flight)?;
            keep_held(&shared.floors, taken, &rows)?;
            most = self.fit(&mut in_work, taken.messages.len())?;
        }
        if !taken.messages.is_empty() {
            shared.limits.have_work(&shared.station);
        }
        Ok(())
    }
}

/// Keeps the messages that were claimed again. The others are free, or in other hands that may let
/// go of them.
fn keep_held(floors: &Mutex<Floors>, taken: &mut Taken, rows: &[SimpleQueryRow]) -> Result<()> {
    let rows = rows.iter();
    let held: HashSet<ClaimPlace> = rows.map(claimed::read_position).collect::<Result<_>>()?;
    taken.keep(floors, |message| held.contains(&message.held.position));
    Ok(())
}

/// Appends a claim of exactly these messages.
pub(crate) fn push_hold_again<'m>(
    flight: &mut Flight,
    topic: &str,
    messages: impl Iterator<Item = &'m Claimed> + Clone,
) {
    let numbers = |read: fn(&Claimed) -> i64| Value::Numbers(messages.clone().map(read).collect());
    let ids = messages.clone().map(|message| message.held.id.0).collect();
    let values = [
        Value::Text(topic),
        numbers(|message| message.held.position.rank.into()),
        numbers(|message| message.held.position.seq),
        Value::Uuids(ids),
        numbers(|message| message.attempts.into()),
    ];
    flight.call(&HOLD_AGAIN, &values);
}
