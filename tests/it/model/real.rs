//! The same operations on the real thing.
//!
//! One message is handled at a time by a drain whose handler pauses its own topic: nothing more is begun then.
//! Time passes by moving rows.

use super::op::{Answer, Kind, Op, Settings, TOPICS};
use super::pure::{Delivery, MAX_ATTEMPTS, Message, ON, Seen, TopicState, other};
use crate::support::Place;
use outtray::{
    Backoff, HandlerError, MessageId, Messaging, MessagingSession, NewMessage, Topic, TopicConfig,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than any test.
const LATER: Duration = Duration::from_secs(3600);

pub(super) struct Real {
    pub(super) place: Place,
    /// The ids of all messages that were sent, by their labels.
    ids: Arc<Mutex<Vec<MessageId>>>,
}

impl Real {
    pub(super) fn new() -> Real {
        Real {
            place: Place::new(),
            ids: Arc::default(),
        }
    }

    pub(super) fn apply(&mut self, op: &Op) -> Seen {
        match *op {
            Op::Send {
                topic,
                count,
                message,
            } => self.send(topic, count, message),
            Op::SendAndRollBack { topic } => self.send_and_roll_back(topic),
            Op::Handle {
                topic,
                answer,
                sends_on,
            } => return self.handle(topic, answer, sends_on),
            Op::MakeDue { topic, nth } => self.make_due(topic, nth),
            Op::Purge { topic } => return count(self.topic(topic).purge().unwrap()),
            Op::PurgeDead { topic, nth: None } => {
                return count(self.topic(topic).purge_dead_letters(..).unwrap());
            }
            Op::PurgeDead {
                topic,
                nth: Some(nth),
            } => {
                let chosen = self.dead_id(topic, nth);
                return count(self.topic(topic).purge_dead_letters(chosen).unwrap());
            }
            Op::Redrive { topic, nth: None } => {
                return count(self.topic(topic).redrive(..).unwrap());
            }
            Op::Redrive {
                topic,
                nth: Some(nth),
            } => {
                let chosen = self.dead_id(topic, nth);
                return count(self.topic(topic).redrive(chosen).unwrap());
            }
            Op::Pause { topic } => self.topic(topic).pause().unwrap(),
            Op::Resume { topic } => self.topic(topic).resume().unwrap(),
            Op::Configure { topic, settings } => {
                self.topic(topic).configure(config(settings)).unwrap();
            }
        }
        Seen::default()
    }

    pub(super) fn state(&mut self) -> Vec<TopicState> {
        (0..TOPICS.len())
            .map(|topic| self.topic_state(topic))
            .collect()
    }

    fn topic(&self, topic: usize) -> Topic<'_> {
        self.place.messaging.topic(TOPICS[topic])
    }

    fn send(&self, topic: usize, count: usize, kind: Kind) {
        let ids = &self.ids;
        let sent = self.place.messaging.session(|session| {
            (0..count).for_each(|_| send_next(session, ids, topic, kind));
            Ok(())
        });
        sent.unwrap();
    }

    fn send_and_roll_back(&self, topic: usize) {
        let rolled_back = self.place.messaging.session(|session| -> Result<(), _> {
            send_next(session, &self.ids, topic, ON);
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
                let before = delivered.lock().unwrap().replace(Delivery {
                    label: label(&ids, message.id),
                    priority: message.priority,
                    attempt: message.attempt,
                    max_attempts: message.max_attempts,
                });
                assert_eq!(before, None, "two were handled");
                if sends_on {
                    send_next(session, &ids, other(topic), ON);
                }
                respond(session, answer)
            })
            .unwrap();
        let delivery = delivery.lock().unwrap().take();
        if !was_paused && delivery.is_some() {
            self.topic(topic).resume().unwrap();
        }
        Seen {
            delivery,
            counts: vec![report.handled, report.retried, report.dead],
        }
    }

    fn make_due(&mut self, topic: usize, nth: Option<usize>) {
        let waiting = self.scheduled(topic);
        let chosen = match nth {
            None => waiting,
            Some(_) if waiting.is_empty() => waiting,
            Some(nth) => vec![waiting[nth % waiting.len()].clone()],
        };
        let ids = self.ids.lock().unwrap().clone();
        let chosen: Vec<_> = chosen
            .iter()
            .map(|message| ids[message.label].as_uuid())
            .collect();
        // All at the same time: then they come in the order of sending.
        let sql =
            "UPDATE outtray.scheduled SET due_at = date_trunc('day', now()) WHERE id = ANY ($1)";
        self.place.client.execute(sql, &[&chosen]).unwrap();
        // Whoever drains moves what is due, of all topics.
        let nobody = |_: &mut MessagingSession<'_>, _: outtray::Message| Ok(());
        self.place.messaging.drain("nobody", nobody).unwrap();
    }

    fn dead_id(&self, topic: usize, nth: usize) -> Vec<MessageId> {
        let dead = self.topic(topic).dead_letters(10_000).unwrap();
        let chosen = (!dead.is_empty()).then(|| dead[nth % dead.len()].id);
        chosen.into_iter().collect()
    }

    fn topic_state(&mut self, at: usize) -> TopicState {
        let scheduled = self.scheduled(at);
        let topic = self.topic(at);
        let ready = topic.peek(10_000).unwrap();
        let dead = topic.dead_letters(10_000).unwrap();
        let stats = topic.stats().unwrap();
        let counts = [
            stats.ready,
            stats.scheduled,
            stats.leased,
            stats.behind,
            stats.dead,
        ];
        let found = [ready.len(), scheduled.len(), 0, 0, dead.len()];
        assert_eq!(
            counts,
            found.map(|count| count as u64),
            "stats of {stats:?}"
        );
        assert_eq!(stats.oldest_ready_age.is_some(), !ready.is_empty());
        assert_eq!(
            topic.is_empty().unwrap(),
            ready.is_empty() && scheduled.is_empty()
        );
        let message = |id: MessageId, priority: i16, attempts: u32, payload: String| Message {
            label: label(&self.ids, id),
            priority,
            attempts,
            fits: !payload.starts_with('"'),
        };
        let config = topic.config().unwrap();
        TopicState {
            ready: ready
                .into_iter()
                .map(|one| message(one.id, one.priority, one.attempts, one.payload.to_string()))
                .collect(),
            dead: dead
                .into_iter()
                .map(|one| {
                    let payload = one.payload.to_string();
                    let reason = one.reason.to_string();
                    (message(one.id, one.priority, one.attempts, payload), reason)
                })
                .collect(),
            scheduled,
            is_paused: topic.is_paused().unwrap(),
            settings: Settings {
                max_attempts: config.max_attempts,
                is_delayed: config.delay.is_some(),
            },
        }
    }

    /// Nothing of the public face lists what waits.
    fn scheduled(&mut self, topic: usize) -> Vec<Message> {
        let sql =
            "SELECT id, -rank, attempts, payload::text FROM outtray.scheduled WHERE topic = $1";
        let rows = self.place.client.query(sql, &[&TOPICS[topic]]).unwrap();
        let mut waiting: Vec<Message> = rows
            .iter()
            .map(|row| Message {
                label: label(&self.ids, MessageId::from(row.get::<_, uuid::Uuid>(0))),
                priority: row.get(1),
                attempts: row.get::<_, i16>(2).unsigned_abs().into(),
                fits: !row.get::<_, String>(3).starts_with('"'),
            })
            .collect();
        waiting.sort_by_key(|message| message.label);
        waiting
    }
}

/// Sends the message with the next label.
fn send_next(
    session: &mut MessagingSession<'_>,
    ids: &Mutex<Vec<MessageId>>,
    topic: usize,
    kind: Kind,
) {
    let label = ids.lock().unwrap().len();
    let message = match kind.fits {
        true => NewMessage::json(TOPICS[topic], &label),
        false => NewMessage::json(TOPICS[topic], &label.to_string()),
    };
    let mut message = message.unwrap().priority(kind.priority);
    if kind.is_delayed {
        message = message.delay(LATER);
    }
    let id = session.send(message).unwrap().id();
    ids.lock().unwrap().push(id);
}

fn label(ids: &Mutex<Vec<MessageId>>, id: MessageId) -> usize {
    let ids = ids.lock().unwrap();
    let found = ids.iter().position(|sent| *sent == id);
    found.expect("a message that was sent")
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
    }
}

fn config(settings: Settings) -> TopicConfig {
    TopicConfig {
        max_attempts: settings.max_attempts,
        delay: settings.is_delayed.then_some(LATER),
        ..TopicConfig::default()
    }
}

fn count(count: u64) -> Seen {
    Seen::count(usize::try_from(count).unwrap())
}
