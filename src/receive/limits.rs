//! What holds claims back: the receiver's filter, the topic's rates, and its limit of messages in
//! work. Each at its moment:
//!
//! - **Before** a transaction begins, or messages are leased, tokens are taken: the row of their
//!   bucket is locked for no longer than that statement.
//! - **Inside** the transaction that claims, a slot is taken: its lock lasts as long as the work.
//! - **After** the claim keys are known, and those that are over their rate are put off.
//!
//! A topic with a rate or a limit never claims in the flight that commits.

use crate::connect::transaction::OpenTransaction;
use crate::db::Run;
use crate::max_in_work::ASK_AGAIN;
use crate::max_in_work::slots::{OwnSlot, Slots};
use crate::message::claimed::Claimed;
use crate::message::outcome::Decision;
use crate::rate_limit::Grant;
use crate::rate_limit::tokens::{self, Admitted, Allowance, TopicTokens};
use crate::receive::filter::FilterBudget;
use crate::session::process::Process;
use crate::settings::Setting;
use crate::wake::board::Station;
use crate::wake::waker::Waker;
use crate::words::topic_config::Rate;
use crate::words::{Filter, Result};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The limits of one receiver.
pub(crate) struct Limits {
    topic: String,
    process: Arc<Process>,
    /// What it wants of the topic's messages; `None` for all.
    pub(crate) filter: Option<FilterBudget>,
    tokens: TopicTokens,
    slots: Slots,
}

/// What the topic's limit allows a transaction.
pub(crate) enum InWork<'t> {
    Unlimited,
    Slot(OwnSlot<'t>),
    UsedUp,
}

impl Limits {
    pub(crate) fn new(topic: &str, process: Arc<Process>, filter: Option<&Filter>) -> Self {
        Limits {
            topic: topic.to_owned(),
            process,
            filter: filter.map(FilterBudget::new),
            tokens: TopicTokens::default(),
            slots: Slots::default(),
        }
    }

    fn setting(&self) -> Option<Arc<Setting>> {
        self.process.configs.get(&self.topic)
    }

    fn rate(&self) -> Option<Rate> {
        self.setting()?.config.rate
    }

    fn rate_per_key(&self) -> Option<Rate> {
        self.setting()?.config.rate_per_key
    }

    /// Returns how many messages of the topic may be in work at the same time, if that is limited.
    pub(crate) fn max_in_work(&self) -> Option<u32> {
        self.setting()?.config.max_in_work
    }

    /// Returns how long to wait before the next filtered claim, or `None` to claim now.
    pub(crate) fn too_early(&self, now: Instant) -> Option<Duration> {
        self.filter.as_ref()?.too_early(now)
    }

    /// Notes what a filtered claim cost that began then.
    pub(crate) fn claimed(&self, began: Instant, has_found: bool) {
        if let Some(filter) = &self.filter {
            filter.learn(began, Instant::now(), has_found);
        }
    }

    /// Returns whether the flight that commits may claim what comes next.
    pub(crate) fn may_chain(&self) -> bool {
        let setting = self.setting();
        setting.is_none_or(|setting| {
            setting.config.rate.is_none() && setting.config.max_in_work.is_none()
        })
    }

    /// Makes the slots of a limited topic, if they may not be there. Outside transactions.
    pub(crate) fn ensure_slots(&self, run: &mut dyn Run) -> Result<()> {
        match self.max_in_work() {
            Some(limit) => self.slots.ensure(run, &self.topic, limit),
            None => Ok(()),
        }
    }

    /// Returns how many of `wanted` messages may be claimed, or how long to wait. Outside
    /// transactions.
    pub(crate) fn before(
        &self,
        run: &mut dyn Run,
        wanted: usize,
    ) -> Result<Result<Allowance, Duration>> {
        let setting = self.setting();
        self.tokens
            .take(run, &self.topic, setting.as_deref(), wanted)
    }

    /// Takes a slot until the open transaction ends, where the topic is limited.
    pub(crate) fn inside(&self, open: &mut OpenTransaction<'_>) -> Result<InWork<'_>> {
        let Some(limit) = self.max_in_work() else {
            return Ok(InWork::Unlimited);
        };
        let slot = OwnSlot::take(open, &self.topic, limit)?;
        Ok(slot.map_or(InWork::UsedUp, InWork::Slot))
    }

    /// Returns when to look again for a free slot, if that is up to the calling worker.
    pub(crate) fn ask_again(&self) -> Option<Duration> {
        self.slots.watch().then_some(ASK_AGAIN)
    }

    /// Notes that messages were claimed: there may be a slot for one more worker, which else
    /// watches for one.
    pub(crate) fn have_work(&self, station: &Station) {
        if self.max_in_work().is_some() && self.slots.is_unwatched() {
            station.ring(1);
        }
    }

    /// Notes that the calling worker parks and is not going to ask for a slot. If it was, another
    /// one does: those that found none free rely on it.
    pub(crate) fn leave_watch(&self, station: &Station) {
        if self.slots.leave_watch() {
            station.ring(1);
        }
    }

    /// Returns whether tokens of keys are to be taken for messages.
    pub(crate) fn need_tokens(&self, messages: &[Claimed]) -> bool {
        tokens::needs_tokens(self.rate_per_key(), messages)
    }

    /// Takes a token for the key of each message, where keys have a rate, in a transaction that
    /// ends before handlers run.
    pub(crate) fn ask(
        &self,
        run: &mut dyn Run,
        messages: &[&Claimed],
    ) -> Result<Option<HashMap<String, Grant>>> {
        tokens::ask(run, &self.topic, self.rate_per_key(), messages)
    }

    /// Spends what [`ask`](Self::ask) got. Decides about the messages that are put off.
    pub(crate) fn after<'m>(
        &self,
        grants: Option<HashMap<String, Grant>>,
        messages: Vec<&'m Claimed>,
        decided: &mut Vec<Decision<'m>>,
    ) -> Admitted<'m> {
        tokens::admit(self.rate_per_key(), grants, messages, decided)
    }

    /// Leaves what a worker did not spend to the others.
    pub(crate) fn leave(&self, left: Allowance) {
        self.tokens.leave(left);
    }

    /// Leaves the tokens of messages that were not begun after all to the workers.
    pub(crate) fn unspend(&self, messages: usize) {
        self.tokens.unspend(self.setting().as_deref(), messages);
    }

    /// Gives back what no worker spent: nothing is ready, the topic is paused, or the receiver
    /// stops. Outside transactions.
    pub(crate) fn give_back(&self, run: &mut dyn Run) {
        self.tokens.give_back(run, &self.topic, self.rate());
    }

    /// Returns the tokens of messages that were admitted and not begun.
    pub(crate) fn unbegun(&self, messages: &[&Claimed]) -> Vec<(String, usize)> {
        tokens::unbegun(self.rate_per_key(), messages)
    }

    /// Gives back the tokens of keys that were not spent, and has upkeep move what was put off of
    /// these keys and has a token now. Outside transactions.
    pub(crate) fn give_back_keys(
        &self,
        run: &mut dyn Run,
        waker: &Waker,
        loose: &mut Vec<(String, usize)>,
    ) {
        if tokens::give_back_keys(run, &self.topic, self.rate_per_key(), loose) {
            waker.due_in(Duration::ZERO);
        }
    }
}
