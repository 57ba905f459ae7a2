//! Takes room for what a session sends to bounded topics.

use crate::capacity::take::{self as room, RoomFacts, RoomWanted};
use crate::session::admit::new_ones;
use crate::session::messaging_session::MessagingSession;
use crate::session::outbox::Outbox;
use crate::words::outcome::Sent;
use crate::words::{OnEnd, Outgoing, Result};
use std::collections::BTreeMap;
use std::time::Duration;

impl MessagingSession<'_> {
    /// Takes room in the bounded topics that the new messages go to.
    pub(super) fn take_room(&mut self, messages: &[Outgoing], sent: &[Sent]) -> Result<()> {
        let mut loads = BTreeMap::<&str, (usize, Duration)>::new();
        for (outgoing, _) in new_ones(messages, sent) {
            if outgoing.on_end.has(OnEnd::BOUNDED) {
                let (messages, longest) = loads.entry(&outgoing.message.topic).or_default();
                *messages += 1;
                let wait = outgoing.message.rare.room_wait.unwrap_or(self.room_wait);
                *longest = wait.max(*longest);
            }
        }
        if loads.is_empty() {
            return Ok(());
        }
        let mut wanted = Vec::with_capacity(loads.len());
        for (topic, (messages, wait)) in loads {
            let setting = self.setting(topic);
            // The topic may have lost its limit since the message got its flags.
            if let Some(limit) = setting.and_then(|setting| setting.config.max_length) {
                wanted.push(RoomWanted::new(topic, messages, limit, wait)?);
            }
        }
        if room::spend(&mut self.outbox.room, &wanted) {
            return Ok(());
        }
        let mut ahead = std::mem::take(&mut self.outbox.room);
        let is_unseen = self.transaction.may_be_undone_unseen();
        let (outbox, process) = (&self.outbox, self.process);
        let facts = RoomFacts {
            counts: &process.counts,
            pending: &|topic| outbox.bounded(topic),
            own: &|topic| outbox.sent_to(topic),
            limit: &|run, topic| {
                process.configs.refresh_within(run)?;
                let setting = process.configs.get(topic);
                Ok(setting.and_then(|setting| setting.config.max_length))
            },
        };
        let taken = self
            .transaction
            .ask(|run| room::take(run, &facts, &wanted, &mut ahead, is_unseen));
        self.outbox.room = ahead;
        taken
    }
}

impl Outbox {
    /// Returns how many messages for a bounded topic are kept here.
    fn bounded(&self, topic: &str) -> usize {
        let kept = self.ready.iter().chain(&self.waiting);
        kept.filter(|outgoing| {
            outgoing.on_end.has(OnEnd::BOUNDED) && outgoing.message.topic == topic
        })
        .count()
    }

    /// Returns how many messages were sent to a topic here, stored or not.
    fn sent_to(&self, topic: &str) -> usize {
        let log = self.log.iter();
        log.filter(|entry| *entry.topic == *topic).count()
    }
}
