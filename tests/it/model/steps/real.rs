//! The same operations on the real thing.
//!
//! One message is handled at a time by a drain whose handler pauses its own topic: nothing more is
//! begun then. Time passes by moving rows.

use super::hands::MAX_ATTEMPTS;
use super::op::{Answer, Kind, LOG, Op, PLAIN, QUEUES, Settings, TOPICS};
use super::pure::other;
use super::reading::EFFECTS;
use super::seen::{Delivery, Seen};
use super::sending::{label, label_of_next, send_next, send_next_by_sql};
use super::taking::Taken;
use crate::support::Place;
use outtray::{
    Backoff, Expired, HandlerError, MessageId, Messaging, MessagingSession, PoisonedKey, Sent,
    Topic, TopicConfig, TopicKind,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uuid::Uuid;

/// Longer than any test.
pub(super) const LATER: Duration = Duration::from_secs(3600);

/// The topic of which the length is counted.
pub(super) const BOUNDED: usize = 1;

pub(super) struct Real {
    pub(super) place: Place,
    /// The ids of all messages that were sent, by their labels.
    pub(super) ids: Ids,
    /// The labels that copies carry of what was published: that of the first copy.
    pub(super) originals: HashMap<usize, usize>,
    /// How many entries of the log the reader has read.
    pub(super) entries_read: i64,
    /// Those that are tracked.
    pub(super) tracked: Vec<(usize, usize)>,
    /// Whether a topic has parked what comes after dead letters.
    parks: bool,
    /// What was taken by hand.
    pub(super) held: Vec<Taken>,
}

type Ids = Arc<Mutex<Vec<MessageId>>>;

impl Real {
    pub(super) fn new() -> Real {
        let mut real = Real {
            place: Place::new(),
            ids: Arc::default(),
            originals: HashMap::new(),
            entries_read: 0,
            tracked: Vec::new(),
            parks: false,
            held: Vec::new(),
        };
        for topic in 0..QUEUES {
            let config = config(topic, Settings::default());
            real.topic(topic).configure(config).unwrap();
        }
        let log = TopicConfig {
            kind: TopicKind::Log,
            ..TopicConfig::default()
        };
        real.topic(LOG).configure(log).unwrap();
        real.place.sql(EFFECTS);
        real
    }

    pub(super) fn apply(&mut self, op: &Op) -> Seen {
        let seen = self.act(op);
        // What is to be parked is said to be stalled, and whoever drains looks after that, of all
        // topics.
        if self.parks && self.place.count("outtray.stalled") > 0 {
            self.drain_nobody();
        }
        seen
    }

    fn act(&mut self, op: &Op) -> Seen {
        match *op {
            Op::Send {
                topic,
                count,
                message,
                by_sql,
            } => return self.send(topic, count, message, by_sql),
            Op::SendAndRollBack { topic } => self.send_and_roll_back(topic),
            Op::Handle {
                topic,
                answer,
                sends_on,
            } => return self.handle(topic, answer, sends_on),
            Op::MakeDue { topic, nth } => {
                let chosen = self.chosen(topic, nth, |at| at == "scheduled");
                self.move_due(&chosen);
            }
            Op::Lease { topic, by_sql } => return self.lease(topic, by_sql),
            Op::Settle { nth, how, by_sql } => return self.settle(nth, how, by_sql),
            Op::Lapse { topic, nth } => {
                let chosen = self.chosen(topic, nth, |at| at == "leased");
                self.move_due(&chosen);
            }
            Op::Expire { topic, nth } => self.expire(topic, nth),
            Op::TakeOutExpired => self.take_out_expired(),
            Op::Shared(ref op) => return self.share(op),
            Op::ForgetKeys { topic } => self.forget_keys(topic),
            Op::Cancel {
                nth,
                is_taken,
                by_sql,
            } => return self.cancel(nth, is_taken, by_sql),
            Op::Purge { topic } => return count(self.topic(topic).purge().unwrap()),
            Op::PurgeDead { topic, nth } => return self.purge_dead(topic, nth),
            Op::Redrive { topic, nth } => return self.redrive(topic, nth),
            Op::Pause { topic } => self.topic(topic).pause().unwrap(),
            Op::Resume { topic } => self.topic(topic).resume().unwrap(),
            Op::Configure { topic, settings } => {
                self.parks |= settings.poisoned_key == Some(PoisonedKey::Park);
                self.topic(topic)
                    .configure(config(topic, settings))
                    .unwrap();
            }
        }
        Seen::default()
    }

    pub(super) fn topic(&self, topic: usize) -> Topic<'_> {
        self.place.messaging.topic(TOPICS[topic])
    }

    fn send(&mut self, topic: usize, count: usize, kind: Kind, by_sql: bool) -> Seen {
        let first = label_of_next(&self.ids);
        let send = if by_sql { send_next_by_sql } else { send_next };
        let sent = self.place.messaging.session(|session| {
            let sent = (0..count).map(|_| send(session, &self.ids, topic, kind));
            Ok(sent.collect::<Vec<Sent>>())
        });
        let mut duplicates_of = Vec::new();
        for (nth, sent) in sent.unwrap().into_iter().enumerate() {
            match sent {
                Sent::Duplicate(of) => duplicates_of.push(label(&self.ids, of)),
                Sent::New(_) if kind.is_tracked => self.tracked.push((topic, first + nth)),
                Sent::New(_) => {}
            }
        }
        Seen {
            duplicates_of,
            ..Seen::default()
        }
    }

    fn send_and_roll_back(&self, topic: usize) {
        let rolled_back = self.place.messaging.session(|session| -> Result<(), _> {
            send_next(session, &self.ids, topic, PLAIN);
            Err(HandlerError::failed("rolled back"))
        });
        rolled_back.unwrap_err();
    }

    fn handle(&self, topic: usize, answer: Answer, sends_on: bool) -> Seen {
        let was_paused = self.topic(topic).is_paused().unwrap();
        let messaging = self.place.messaging.clone();
        let ids = Arc::clone(&self.ids);
        let delivery = Arc::new(Mutex::new(None));
        let delivered = Arc::clone(&delivery);
        let report = self
            .place
            .messaging
            .receiver(TOPICS[topic])
            .messages_per_transaction(1)
            .max_attempts(MAX_ATTEMPTS)
            .backoff(Backoff::fixed(LATER))
            .drain(move |session, message: outtray::Message<usize>| {
                pause(&messaging, topic);
                let now = seen(&ids, &message);
                let before = delivered.lock().unwrap().replace(now);
                assert_eq!(before, None, "two were handled");
                if sends_on {
                    send_next(session, &ids, other(topic), PLAIN);
                }
                respond(session, answer)
            })
            .map(|report| vec![report.handled, report.retried, report.dead, report.dropped]);
        let delivery = delivery.lock().unwrap().take();
        if !was_paused && delivery.is_some() {
            self.topic(topic).resume().unwrap();
        }
        let counts = match answer {
            Answer::LoseConnection if delivery.is_some() => {
                report.unwrap_err();
                Vec::new()
            }
            _ => report.unwrap(),
        };
        Seen {
            delivery,
            counts,
            ..Seen::default()
        }
    }

    fn expire(&mut self, topic: usize, nth: Option<usize>) {
        let chosen = self.chosen(topic, nth, |_| true);
        for table in ["message", "scheduled", "follower"] {
            let sql = format!(
                "UPDATE outtray.{table} SET expires_at = date_trunc('day', now()) WHERE id = ANY ($1)"
            );
            self.place.client.execute(&sql, &[&chosen]).unwrap();
        }
    }

    /// Chooses among the messages of a topic that are not dead, in the order of sending.
    fn chosen(
        &mut self,
        topic: usize,
        nth: Option<usize>,
        is_meant: impl Fn(&str) -> bool,
    ) -> Vec<Uuid> {
        let sql = "SELECT id, CASE WHEN receipt IS NULL THEN 'scheduled' ELSE 'leased' END AS at
            FROM outtray.scheduled WHERE topic = $1
            UNION ALL SELECT id, 'ready' FROM outtray.message WHERE topic = $1
            UNION ALL SELECT id, 'behind' FROM outtray.follower WHERE topic = $1";
        let rows = self.place.client.query(sql, &[&TOPICS[topic]]).unwrap();
        let mut meant: Vec<Uuid> = rows
            .iter()
            .filter(|row| is_meant(row.get("at")))
            .map(|row| row.get("id"))
            .collect();
        meant.sort_by_key(|id| label(&self.ids, MessageId::from(*id)));
        match nth {
            Some(nth) if !meant.is_empty() => vec![meant[nth % meant.len()]],
            _ => meant,
        }
    }

    fn forget_keys(&mut self, topic: usize) {
        let sql = "UPDATE outtray.dedupe SET expires_at = now() WHERE topic = $1";
        self.place.client.execute(sql, &[&TOPICS[topic]]).unwrap();
    }

    fn move_due(&mut self, chosen: &[Uuid]) {
        // All at the same time: then they come in the order of sending.
        let sql =
            "UPDATE outtray.scheduled SET due_at = date_trunc('day', now()) WHERE id = ANY ($1)";
        self.place.client.execute(sql, &[&chosen]).unwrap();
        // Whoever drains moves what is due, of all topics.
        self.drain_nobody();
    }

    fn drain_nobody(&self) {
        let nobody = |_: &mut MessagingSession<'_>, _: outtray::Message| Ok(());
        self.place.messaging.drain("nobody", nobody).unwrap();
    }

    fn purge_dead(&self, topic: usize, nth: Option<usize>) -> Seen {
        let purged = match nth {
            None => self.topic(topic).purge_dead_letters(..),
            Some(nth) => {
                let chosen = self.dead_id(topic, nth);
                self.topic(topic).purge_dead_letters(chosen)
            }
        };
        count(purged.unwrap())
    }

    fn redrive(&self, topic: usize, nth: Option<usize>) -> Seen {
        let redriven = match nth {
            None => self.topic(topic).redrive(..),
            Some(nth) => {
                let chosen = self.dead_id(topic, nth);
                self.topic(topic).redrive(chosen)
            }
        };
        count(redriven.unwrap())
    }

    fn dead_id(&self, topic: usize, nth: usize) -> Vec<MessageId> {
        let dead = self.topic(topic).dead_letters(10_000).unwrap();
        let chosen = (!dead.is_empty()).then(|| dead[nth % dead.len()].id);
        chosen.into_iter().collect()
    }
}

pub(super) fn seen(ids: &Mutex<Vec<MessageId>>, message: &outtray::Message<usize>) -> Delivery {
    Delivery {
        label: label(ids, message.id),
        priority: message.priority,
        attempt: message.attempt,
        max_attempts: message.max_attempts,
        key: message.key.clone(),
    }
}

fn pause(messaging: &Messaging, topic: usize) {
    messaging.topic(TOPICS[topic]).pause().unwrap();
}

fn respond(session: &mut MessagingSession<'_>, answer: Answer) -> Result<(), HandlerError> {
    match answer {
        Answer::Ack => Ok(()),
        Answer::Fail => Err(HandlerError::failed("as scripted")),
        Answer::RetryAfter => Err(HandlerError::retry_after(LATER)),
        Answer::Reject => Err(HandlerError::reject("as scripted")),
        Answer::Snooze => Err(HandlerError::snooze(LATER)),
        // Quiet: the hook would print each.
        Answer::Panic => std::panic::resume_unwind(Box::new("as scripted")),
        Answer::SwallowAnSqlError => {
            let _ = session.execute("SELECT 1 / 0", &[]);
            Ok(())
        }
        Answer::LoseConnection => {
            session.execute("SELECT pg_terminate_backend(pg_backend_pid())", &[])?;
            Ok(())
        }
    }
}

fn config(topic: usize, settings: Settings) -> TopicConfig {
    TopicConfig {
        max_attempts: settings.max_attempts,
        delay: settings.is_delayed.then_some(LATER),
        expired: settings.drops_expired.then_some(Expired::Drop),
        poisoned_key: settings.poisoned_key,
        // Never reached: what is counted is compared.
        max_length: (topic == BOUNDED).then_some(100_000),
        max_in_work_per_key: settings.is_double.then_some(2),
        keep_done: Some(24 * LATER),
        ..TopicConfig::default()
    }
}

fn count(count: u64) -> Seen {
    Seen::count(usize::try_from(count).unwrap())
}
