//! Makes scheduled messages due before their time, for a drain that handles those, too.
//!
//! A message that fails is scheduled again, and made due again, until it ends as a dead letter at
//! the latest. A message that was put off without spending an attempt (it was snoozed, or its key
//! is over its rate) would come back for ever. So a message is made due once for each number of
//! attempts.

use crate::connect::connection::Connection;
use crate::receive::claim;
use crate::receive::shared_state::SharedState;
use crate::schedule::{self, InPlace, Waiting};
use crate::words::{ClaimPlace, Result};
use std::collections::HashMap;
use uuid::Uuid;

/// Messages that one look takes, and that one statement makes due.
const LOOK: i64 = 10_000;
const SLICE: usize = 1000;

/// What was made due, each message with its attempts then.
#[derive(Debug, Default)]
pub(crate) struct MadeDue(HashMap<Uuid, i16>);

impl MadeDue {
    /// Makes the first messages due that wait for their time, in the order in which they would have
    /// been, and those that wait in their places; returns whether there were any.
    pub(crate) fn make_due(
        &mut self,
        shared: &SharedState,
        connection: &mut Connection,
    ) -> Result<bool> {
        let has_begun = self.begin_in_place(shared, connection)?;
        Ok(self.make_scheduled_due(shared, connection)? || has_begun)
    }

    fn make_scheduled_due(
        &mut self,
        shared: &SharedState,
        connection: &mut Connection,
    ) -> Result<bool> {
        let mut after = Uuid::nil();
        loop {
            let looked_at = schedule::waiting(connection, &shared.topic, after, LOOK)?;
            let Some(last) = looked_at.last() else {
                return Ok(false);
            };
            after = last.id;
            let mut waiting: Vec<Waiting> = looked_at
                .into_iter()
                .filter(|one| self.is_news(one.id, one.attempts))
                .collect();
            waiting.sort_unstable_by_key(|one| (one.due_us, one.id));
            let mut is_any = false;
            for slice in waiting.chunks(SLICE) {
                let ids: Vec<Uuid> = slice.iter().map(|one| one.id).collect();
                self.0
                    .extend(slice.iter().map(|one| (one.id, one.attempts)));
                is_any |= schedule::make_due(connection, &shared.topic, &ids)? > 0;
            }
            if is_any {
                return Ok(true);
            }
        }
    }

    /// The same for the failed heads of topics in strict order, and messages that were set aside
    /// since others were in their way.
    fn begin_in_place(
        &mut self,
        shared: &SharedState,
        connection: &mut Connection,
    ) -> Result<bool> {
        let topic = &shared.topic;
        let mut after = ClaimPlace {
            rank: i16::MIN,
            seq: i64::MIN,
        };
        loop {
            let waiting = schedule::waiting_in_place(connection, topic, after, LOOK)?;
            let Some(last) = waiting.last() else {
                return Ok(false);
            };
            after = last.place;
            let news = waiting
                .iter()
                .filter(|one| self.is_news(one.id, one.attempts));
            let news: Vec<&InPlace> = news.collect();
            self.0.extend(news.iter().map(|one| (one.id, one.attempts)));
            if schedule::begin_in_place(connection, topic, &news)? > 0 {
                let places = news.iter().map(|one| one.place);
                claim::lower(&shared.floors, places);
                return Ok(true);
            }
        }
    }

    /// Returns whether a message was not made due with so many attempts.
    fn is_news(&self, id: Uuid, attempts: i16) -> bool {
        self.0.get(&id) != Some(&attempts)
    }
}
