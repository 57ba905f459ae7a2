//! The topic to which replies come, as long as this process waits for any.

use crate::connect::connection::Connection;
use crate::db::commands;
use crate::db::{Statement, Value, sql};
use crate::keys;
use crate::message::claimed::{self, Claimed, Held};
use crate::message::end::{End, How};
use crate::message::floor::{ClaimPlan, Floors};
use crate::on_end;
use crate::publish::ephemeral;
use crate::receive::claim::{Looked, note_promoted};
use crate::threads::mutex::Mutex;
use crate::wake::board::Station;
use crate::wake::waker::Waker;
use crate::words::{ClaimPlace, Doing, Result};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

static END_REPLIES: Statement = sql!("end_replies", Fenced);
static LOOK_REPLIES: Statement = sql!("look_replies", Head);

/// How long the inbox outlives a process that died. One that cannot reach the database for so long
/// loses its inbox, and its questions fail.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// Replies of one look. All are in memory for a moment.
const AT_A_TIME: usize = 500;

/// The topic, and how its reader is woken.
pub(crate) struct Inbox {
    pub(crate) topic: String,
    /// Where hints of replies arrive.
    pub(crate) station: Arc<Station>,
    /// Rung when there is a question again.
    bell: Sender<()>,
    pub(crate) asked: Receiver<()>,
    is_lost: Arc<AtomicBool>,
}

impl Inbox {
    /// Makes one, in a transaction of its own. The caller has the process say that it is wanted.
    pub(crate) fn open(connection: &mut Connection) -> Result<Self> {
        let topic = ephemeral::new_reply_topic();
        ephemeral::hold_topic(connection, &topic, GRACE)?;
        let (bell, asked) = bounded(1);
        Ok(Inbox {
            station: Arc::new(Station::new(&topic, 1)),
            topic,
            bell,
            asked,
            is_lost: Arc::default(),
        })
    }

    /// What is set when others end it.
    pub(crate) fn lost_flag(&self) -> &Arc<AtomicBool> {
        &self.is_lost
    }

    /// Returns whether others ended it.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Tells the reader that there is a question again.
    pub(crate) fn ring(&self) {
        let _ = self.bell.try_send(());
    }

    /// Removes replies that were passed on, and looks where `plan` says for the next ones, in one
    /// flight.
    pub(crate) fn look(
        &self,
        connection: &mut Connection,
        floors: &Mutex<Floors>,
        passed_on: &[Held],
        plan: &ClaimPlan,
    ) -> Result<Looked> {
        let started = Instant::now();
        let ends: Vec<End> = passed_on
            .iter()
            .filter_map(|held| End::of(held, How::Done))
            .collect();
        let mut flight = connection.flight();
        if ends.is_empty() {
            flight = flight.of_names();
        }
        flight.begin();
        if !passed_on.is_empty() {
            // Should the server forget it in a crash, they are read once more, and dropped.
            flight.command(&commands::WAIT_FOR_NO_DISK);
            let number = |read: fn(&ClaimPlace) -> i64| {
                let numbers = passed_on.iter().map(|held| read(&held.position));
                Value::Numbers(numbers.collect())
            };
            let values = [
                Value::Text(&self.topic),
                number(|place| place.rank.into()),
                number(|place| place.seq),
                Value::Uuids(passed_on.iter().map(|held| held.id.0).collect()),
            ];
            flight.call(&END_REPLIES, &values);
            if !ends.is_empty() {
                on_end::push_ended(&mut flight, &self.topic, &ends);
            }
        }
        let values = claimed::parameters(&self.topic, &plan.spans, AT_A_TIME);
        flight.call(&LOOK_REPLIES, &values);
        flight.commit();
        let mut rows = connection.fly(flight).doing("looking for replies")?;
        if ends.iter().any(|end| end.key.is_some()) {
            let promoted = keys::take_promoted(&mut rows);
            note_promoted(floors, &promoted, passed_on.iter());
        }
        let messages: Result<Vec<Claimed>> = rows.iter().map(claimed::read).collect();
        Ok(Looked {
            messages: messages?,
            asked: AT_A_TIME,
            started,
        })
    }

    /// Removes it, with all that is in it.
    pub(crate) fn end(&self, connection: &mut Connection, waker: &Waker) -> Result<()> {
        ephemeral::let_go(connection, &self.topic)?;
        ephemeral::empty(connection, waker, &self.topic, Duration::MAX).map(drop)
    }
}
