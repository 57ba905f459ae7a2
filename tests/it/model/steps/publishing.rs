//! What is really published, and who really subscribed.

use super::op::{Kind, QUEUES, TOPICS};
use super::real::Real;
use super::seen::Seen;
use super::sending::{Written, label, label_of_next, new};
use super::spreading::{PATTERNS, Publishing, ROUTES, Shared};
use outtray::{HandlerError, MessageId, Published};
use uuid::Uuid;

impl Real {
    pub(super) fn share(&mut self, op: &Shared) -> Seen {
        match *op {
            Shared::Publish {
                route,
                message,
                how,
            } => self.publish(route, message, how),
            Shared::Subscribe { topic, pattern } => {
                let (pattern, topic) = (PATTERNS[pattern], TOPICS[topic]);
                Seen::is_new(self.place.messaging.subscribe(pattern, topic).unwrap())
            }
            Shared::Unsubscribe { nth } => self.unsubscribe(nth),
            Shared::Read { rejects } => self.read(rejects),
            Shared::Rewind => self.rewind(),
        }
    }

    fn publish(&mut self, route: usize, kind: Kind, how: Publishing) -> Seen {
        let mut counts = Vec::new();
        let messaging = self.place.messaging.clone();
        match how {
            Publishing::Alone => {
                // Its topic means nothing.
                let message = new(&self.ids, 0, kind);
                let published = messaging.publish_message(ROUTES[route], message).unwrap();
                let copies = Copies::of(&published);
                counts.extend(self.copied(&copies));
                self.note_tracked(&copies, kind);
            }
            Publishing::Twice => {
                let both = messaging.session(|session| {
                    let mut publish = || {
                        let message = new(&self.ids, 0, kind);
                        let published = session.publish_message(ROUTES[route], message)?;
                        let copies = Copies::of(&published);
                        counts.extend(self.copied(&copies));
                        Ok::<Copies, HandlerError>(copies)
                    };
                    Ok([publish()?, publish()?])
                });
                let both = both.unwrap();
                both.iter().for_each(|one| self.note_tracked(one, kind));
            }
            Publishing::RolledBack => {
                let undone = messaging.session(|session| -> Result<(), _> {
                    let message = new(&self.ids, 0, kind);
                    let published = session.publish_message(ROUTES[route], message)?;
                    counts.extend(Copies::of(&published).tally());
                    Err(HandlerError::failed("rolled back"))
                });
                undone.unwrap_err();
            }
            Publishing::BySql => {
                let copies = self.publish_by_sql(route, kind);
                counts.extend(self.copied(&copies));
                self.note_tracked(&copies, kind);
            }
        }
        Seen {
            counts,
            ..Seen::default()
        }
    }

    fn publish_by_sql(&mut self, route: usize, kind: Kind) -> Copies {
        let written = Written::next(&self.ids, kind);
        let sql = "SELECT id, is_duplicate FROM outtray.publish($1, $2::text::json, headers => $3::text::jsonb,
                key => $4, priority => $5, dedupe_key => $6, dedupe_window => $7::text::interval,
                tracked_for => $8::text::interval)";
        let rows = self.place.client.query(
            sql,
            &[
                &ROUTES[route],
                &written.payload,
                &written.headers,
                &kind.key.map(String::from),
                &i32::from(kind.priority),
                &kind.dedupe.map(|key| key.to_string()),
                &kind.dedupe.map(|_| "1 hour"),
                &kind.is_tracked.then_some("1 hour"),
            ],
        );
        let rows = rows.unwrap();
        let new = rows.iter().filter(|row| !row.get::<_, bool>(1));
        let ids: Vec<MessageId> = new
            .map(|row| MessageId::from(row.get::<_, Uuid>(0)))
            .collect();
        Copies {
            duplicates: rows.len() - ids.len(),
            ids,
        }
    }

    /// Gives each copy its label. Returns how many there are, and how many there were before.
    fn copied(&mut self, copies: &Copies) -> [u64; 2] {
        let original = label_of_next(&self.ids);
        for id in &copies.ids {
            self.originals.insert(label_of_next(&self.ids), original);
            self.ids.lock().unwrap().push(*id);
        }
        copies.tally()
    }

    /// Notes in which queues there are tracked copies.
    fn note_tracked(&mut self, copies: &Copies, kind: Kind) {
        if !kind.is_tracked {
            return;
        }
        let sql = "SELECT topic, id FROM (
                SELECT topic, id FROM outtray.message UNION ALL SELECT topic, id FROM outtray.follower
                UNION ALL SELECT topic, id FROM outtray.scheduled
            ) AS message WHERE id = ANY ($1) ORDER BY topic";
        let ids: Vec<Uuid> = copies.ids.iter().map(|id| id.as_uuid()).collect();
        for row in self.place.client.query(sql, &[&ids]).unwrap() {
            let found = TOPICS[..QUEUES]
                .iter()
                .position(|topic| *topic == row.get::<_, String>(0));
            let id = MessageId::from(row.get::<_, Uuid>(1));
            let label = label(&self.ids, id);
            self.tracked.push((found.unwrap(), label));
        }
    }

    fn unsubscribe(&self, nth: usize) -> Seen {
        let all = self.subscriptions();
        let never = ("even".to_owned(), "never.was".to_owned());
        let (topic, pattern) = all.get(nth % (all.len() + 1)).unwrap_or(&never);
        Seen::is_new(self.place.messaging.unsubscribe(pattern, topic).unwrap())
    }

    pub(super) fn subscriptions(&self) -> Vec<(String, String)> {
        let all = self.place.messaging.subscriptions().unwrap().into_iter();
        let mut all: Vec<(String, String)> = all.map(|one| (one.topic, one.pattern)).collect();
        all.sort();
        all
    }
}

/// Where a message went that was published, whichever way.
struct Copies {
    ids: Vec<MessageId>,
    duplicates: usize,
}

impl Copies {
    fn of(published: &Published) -> Copies {
        Copies {
            ids: published.ids.clone(),
            duplicates: published.duplicates,
        }
    }

    fn tally(&self) -> [u64; 2] {
        [self.ids.len() as u64, self.duplicates as u64]
    }
}
