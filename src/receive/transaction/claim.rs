//! Claiming: how a worker gets its next messages, in each of the three ways.
//!
//! - Ordinary: as many as the pace allows, from the floor, in the flight that commits what came
//!   before if there is one.
//! - Strict: the topic's turn first (a row lock that one worker of all processes can have), then,
//!   in a statement of its own so that it sees all that the last holder did, the head, and what
//!   follows it without a gap (`following`).
//!
//! What has to be written before handlers run is written between two claims, see `notes`.

use crate::db::{Flight, Statement, Value, sql};
use crate::message::claimed::{self, Span};
use crate::message::floor::ClaimPlan;
use crate::receive::claim::{self, Looked, Taken};
use crate::receive::filter::FilterBudget;
use crate::receive::limits::InWork;
use crate::receive::transaction::worker_transaction::WorkerTransaction;
use crate::words::{Doing, Result};
use postgres::SimpleQueryRow;
use std::time::{Duration, Instant};

pub(crate) static CLAIM: Statement = sql!("claim", Head);
pub(crate) static CLAIM_FILTERED: Statement = sql!("claim_filtered", Head);
pub(crate) static CLAIM_HEAD: Statement = sql!("claim_head", Order);
static PROMOTE_FIRST: Statement = sql!("promote_first", Kept);
static TAKE_TURN: Statement = sql!("take_turn", Kept);

/// The rows of a first search, and when its flight began.
pub(crate) type FirstLook = (Vec<SimpleQueryRow>, Instant);

/// Appends an ordinary claim of up to `size` messages in these spans to a flight.
pub(crate) fn push_claim(
    flight: &mut Flight,
    topic: &str,
    filter: Option<&FilterBudget>,
    size: usize,
    spans: &[Span],
) {
    let values = claimed::parameters(topic, spans, size);
    match filter {
        None => flight.call(&CLAIM, &values),
        Some(filter) => {
            let values = claimed::filtered(values, &filter.program);
            flight.call(&CLAIM_FILTERED, &values);
        }
    }
}

impl WorkerTransaction<'_, '_, '_> {
    /// Claims up to `size` messages in the open transaction.
    pub(crate) fn claim_messages(&mut self, size: usize) -> Result<Taken> {
        let shared = self.shared;
        claim::in_span(&shared.topic, || self.claim_any(size))
    }

    fn claim_any(&mut self, size: usize) -> Result<Taken> {
        let shared = self.shared;
        let mut in_work = shared.limits.inside(self.session.open()?)?;
        if matches!(in_work, InWork::UsedUp) {
            return Ok(Taken::used_up(shared.limits.ask_again()));
        }
        let size = self.share(&mut in_work, size)?;
        let mut taken = self.take_any(size)?;
        while let Some(fewer) = self.fit(&mut in_work, taken.messages.len())? {
            taken.keep(&shared.floors, |_| false);
            let size = self.share(&mut in_work, fewer)?;
            taken = self.take_any(size)?;
        }
        if !taken.messages.is_empty() {
            shared.limits.have_work(&shared.station);
        }
        Ok(taken)
    }

    /// Returns how many of `size` messages to claim with the slot in hand. Messages handled one
    /// after the other need only one slot. The caller must call [`fit`](Self::fit) after the claim.
    pub(crate) fn share(&mut self, in_work: &mut InWork<'_>, size: usize) -> Result<usize> {
        match in_work {
            InWork::Slot(own) if self.shared.batch.is_some() => {
                own.share(self.session.open()?, size)
            }
            _ => Ok(size),
        }
    }

    /// Takes a slot for each claimed message of a batch. If there are fewer free slots by now,
    /// returns how many messages to claim instead.
    pub(crate) fn fit(
        &mut self,
        in_work: &mut InWork<'_>,
        claimed: usize,
    ) -> Result<Option<usize>> {
        match in_work {
            InWork::Slot(own) => own.fit(self.session.open()?, claimed),
            _ => Ok(None),
        }
    }

    fn take_any(&mut self, size: usize) -> Result<Taken> {
        if self.shared.options.is_strict {
            return self.take_head(size);
        }
        let started = Instant::now();
        if let Some(too_early) = self.shared.limits.too_early(started) {
            return Ok(Taken::later(Some(too_early)));
        }
        let plan = self.shared.floors().plan(started);
        self.read_claim(size, plan, None)
    }

    /// Claims messages where `plan` says, and further back if there are none. `first` is the first
    /// search, if the claim travelled in the flight that began the transaction.
    pub(crate) fn read_claim(
        &mut self,
        size: usize,
        plan: ClaimPlan,
        mut first: Option<FirstLook>,
    ) -> Result<Taken> {
        let shared = self.shared;
        let began = first
            .as_ref()
            .map_or_else(Instant::now, |(_, began)| *began);
        let taken = claim::claim(&shared.floors, plan, |plan| {
            let (rows, started) = match first.take() {
                Some(first) => first,
                None => {
                    let started = Instant::now();
                    let mut flight = self.claim_flight()?;
                    let filter = shared.limits.filter.as_ref();
                    push_claim(&mut flight, &shared.topic, filter, size, &plan.spans);
                    (self.fly(flight)?, started)
                }
            };
            let messages = rows.iter().map(claimed::read);
            let mut messages = messages.collect::<Result<Vec<_>>>()?;
            // They come in this order, but no join promises it.
            messages.sort_unstable_by_key(|message| message.held.position);
            Ok(Some(Looked {
                messages,
                asked: size,
                started,
            }))
        })?;
        shared.limits.claimed(began, !taken.messages.is_empty());
        Ok(taken)
    }

    /// Returns a flight for a claim alone. Values of a filter are the caller's data, so they must
    /// not travel in the text.
    fn claim_flight(&mut self) -> Result<Flight> {
        let flight = self.session.open()?.flight();
        Ok(match self.shared.limits.filter {
            None => flight.of_names(),
            Some(_) => flight,
        })
    }

    fn take_head(&mut self, size: usize) -> Result<Taken> {
        if !self.take_turn()? {
            return Ok(Taken::default());
        }
        let topic = [Value::Text(&self.shared.topic)];
        let rows = self.fly_one(|flight| flight.call(&CLAIM_HEAD, &topic))?;
        let Some(head) = rows.first().map(claimed::read_head).transpose()? else {
            let rows = self.fly_one(|flight| flight.call_once(&PROMOTE_FIRST, &topic))?;
            let is_promoted = !rows.is_empty();
            // Committed first: the lines of keys are moved on by others, too, who must not wait for
            // a handler.
            return Ok(Taken::later(is_promoted.then_some(Duration::ZERO)));
        };
        // Nobody waits for the retry of a message whose time is over.
        if head.wait.is_some() && !head.is_expired {
            return Ok(Taken::later(head.wait));
        }
        let mut messages = vec![head];
        if size > 1 && !self.is_careful && self.shared.limits.may_chain() {
            self.add_following(&mut messages, size - 1)?;
        }
        Ok(Taken {
            messages,
            ..Taken::default()
        })
    }

    /// Takes the turn of a strict topic; returns whether it was free.
    pub(crate) fn take_turn(&mut self) -> Result<bool> {
        let topic = [Value::Text(&self.shared.topic)];
        let rows = self.fly_one(|flight| flight.call(&TAKE_TURN, &topic))?;
        Ok(!rows.is_empty())
    }

    pub(crate) fn fly_one(
        &mut self,
        fill: impl FnOnce(&mut Flight),
    ) -> Result<Vec<SimpleQueryRow>> {
        let mut flight = self.session.open()?.flight();
        fill(&mut flight);
        self.fly(flight)
    }

    pub(crate) fn fly(&mut self, flight: Flight) -> Result<Vec<SimpleQueryRow>> {
        let answered = self.session.open()?.fly(flight);
        answered.doing("claiming messages")
    }
}
