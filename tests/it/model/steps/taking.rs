//! Messages that are taken by hand and settled, by the library and by SQL functions beside it.

use super::hands::MOST_HELD;
use super::op::{PLAIN, Settling, TOPICS};
use super::pure::other;
use super::real::{LATER, Real, seen};
use super::seen::{Delivery, Seen};
use super::sending::{label, label_of_next, nobody, send_next};
use outtray::{ErrorKind, MessageId, Messaging, MessagingSession};
use postgres::{Error, Row};
use uuid::Uuid;

/// The SQLSTATE of a lease that was lost.
const LOST: &str = "OT110";

/// A message that was taken, whatever became of it.
pub(super) struct Taken {
    topic: usize,
    id: MessageId,
    receipt: Uuid,
    /// By which process, if by the library.
    by_library: Option<(Messaging, outtray::Delivery<usize>)>,
}

impl Real {
    pub(super) fn lease(&mut self, topic: usize, by_sql: bool) -> Seen {
        let taken = match by_sql {
            false => self.take_by_library(topic),
            true => self.take_by_sql(topic),
        };
        let Some((taken, delivery)) = taken else {
            return Seen::default();
        };
        self.held.push(taken);
        if self.held.len() > MOST_HELD {
            let oldest = self.held.remove(0);
            self.let_go(oldest, false);
        }
        Seen {
            delivery: Some(delivery),
            ..Seen::default()
        }
    }

    /// Takes a message in a process of its own: what one remembers of where it looked last says
    /// where it looks first.
    fn take_by_library(&mut self, topic: usize) -> Option<(Taken, Delivery)> {
        let messaging = Messaging::connect(&self.place.url).unwrap();
        let taken = messaging.topic(TOPICS[topic]).receive(LATER).unwrap()?;
        let delivery = seen(&self.ids, &taken);
        let receipt = "SELECT receipt FROM outtray.scheduled WHERE id = $1";
        let id = taken.id;
        let row = self.place.client.query_one(receipt, &[&id.as_uuid()]);
        let taken = Taken {
            topic,
            id,
            receipt: row.unwrap().get(0),
            by_library: Some((messaging, taken)),
        };
        Some((taken, delivery))
    }

    fn take_by_sql(&mut self, topic: usize) -> Option<(Taken, Delivery)> {
        let query = "SELECT id, receipt, priority, attempt, max_attempts, key FROM outtray.receive($1, '1 hour')";
        let row = self.place.client.query_opt(query, &[&TOPICS[topic]]);
        let row = row.unwrap()?;
        let id = MessageId::from(row.get::<_, Uuid>("id"));
        let number = |name| row.get::<_, i32>(name);
        let delivery = Delivery {
            label: label(&self.ids, id),
            priority: number("priority").try_into().unwrap(),
            attempt: number("attempt").unsigned_abs(),
            max_attempts: number("max_attempts").unsigned_abs(),
            key: row.get("key"),
        };
        let taken = Taken {
            topic,
            id,
            receipt: row.get("receipt"),
            by_library: None,
        };
        Some((taken, delivery))
    }

    pub(super) fn settle(&mut self, nth: usize, how: Settling, by_sql: bool) -> Seen {
        if self.held.is_empty() {
            return Seen::default();
        }
        let at = nth % self.held.len();
        if how == Settling::Drop {
            let taken = self.held.remove(at);
            self.let_go(taken, by_sql);
            return Seen::answer("settled");
        }
        let is_settled = match (by_sql, &self.held[at].by_library) {
            (false, Some((messaging, held))) => {
                self.settle_by_library(self.held[at].topic, messaging, held, how)
            }
            _ => self.settle_by_sql(at, how),
        };
        Seen::answer(if is_settled { "settled" } else { "lost" })
    }

    fn settle_by_library(
        &self,
        topic: usize,
        messaging: &Messaging,
        held: &outtray::Delivery<usize>,
        how: Settling,
    ) -> bool {
        let settled = match how {
            Settling::Ack => held.ack(),
            Settling::Nack => held.nack(),
            Settling::RetryAfter => held.retry_after(LATER),
            Settling::Reject => held.reject("as scripted"),
            Settling::Release => held.release(),
            Settling::Extend => held.extend(2 * LATER),
            Settling::SettleIn => {
                let next = label_of_next(&self.ids);
                // Who changes a setting knows all of them; else they are a second old.
                messaging.topic("nobody").resume().unwrap();
                let settled = held.settle_in(|session| {
                    send_next(session, &self.ids, other(topic), PLAIN);
                    Ok(())
                });
                if label_of_next(&self.ids) == next {
                    // Known to be settled before: nothing was tried.
                    self.ids.lock().unwrap().push(nobody());
                }
                settled
            }
            Settling::Drop => unreachable!("it is let go"),
        };
        match settled {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::LeaseLost => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn settle_by_sql(&mut self, at: usize, how: Settling) -> bool {
        let Taken {
            topic, id, receipt, ..
        } = self.held[at];
        if how == Settling::SettleIn {
            return self.settle_and_send(topic, id, receipt);
        }
        let call = match how {
            Settling::Ack => "ack($1, $2)",
            Settling::Nack | Settling::Drop => "nack($1, $2, '0 s')",
            Settling::RetryAfter => "nack($1, $2, '1 hour', 'as scripted', $3)",
            Settling::Reject => "reject($1, $2, 'as scripted')",
            Settling::Release => "release($1, $2)",
            Settling::Extend | Settling::SettleIn => "extend($1, $2, '2 hours', $3)",
        };
        // Some calls name the topic.
        let query = format!("SELECT outtray.{call}::text, $3::text");
        let params: [&(dyn postgres::types::ToSql + Sync); 3] =
            [&id.as_uuid(), &receipt, &TOPICS[topic]];
        is_settled(self.place.client.query_one(&query, &params))
    }

    /// Acknowledges in a transaction of the test's, in which the library sends to the other topic.
    fn settle_and_send(&mut self, topic: usize, id: MessageId, receipt: Uuid) -> bool {
        let messaging = self.place.messaging.clone();
        messaging.topic("nobody").resume().unwrap();
        let mut transaction = self.place.client.transaction().unwrap();
        let acked = transaction.query_one("SELECT outtray.ack($1, $2)", &[&id.as_uuid(), &receipt]);
        if !is_settled(acked) {
            self.ids.lock().unwrap().push(nobody());
            return false;
        }
        let mut session = MessagingSession::join(&messaging, &mut transaction).unwrap();
        send_next(&mut session, &self.ids, other(topic), PLAIN);
        drop(session);
        transaction.commit().unwrap();
        true
    }

    /// Lets a message go that may still be leased: back to its place.
    fn let_go(&mut self, taken: Taken, by_sql: bool) {
        if by_sql || taken.by_library.is_none() {
            self.held.push(taken);
            let last = self.held.len() - 1;
            self.settle_by_sql(last, Settling::Drop);
            self.held.pop();
        }
    }

    pub(super) fn cancel(&mut self, nth: usize, is_taken: bool, by_sql: bool) -> Seen {
        let all: Vec<MessageId> = match is_taken {
            true => self.held.iter().map(|taken| taken.id).collect(),
            false => self.ids.lock().unwrap().clone(),
        };
        if all.is_empty() {
            return Seen::default();
        }
        let id = all[nth % all.len()];
        if !by_sql {
            return Seen::answer(&format!("{:?}", self.place.messaging.cancel(id).unwrap()));
        }
        let row = self
            .place
            .client
            .query_one("SELECT outtray.cancel($1)", &[&id.as_uuid()]);
        Seen::answer(match row.unwrap().get(0) {
            "removed" => "Removed",
            "asked" => "Asked",
            "not_there" => "NotThere",
            other => panic!("{other}"),
        })
    }
}

fn is_settled(called: Result<Row, Error>) -> bool {
    match called {
        Ok(_) => true,
        Err(error) if error.code().is_some_and(|code| code.code() == LOST) => false,
        Err(error) => panic!("{error}"),
    }
}
