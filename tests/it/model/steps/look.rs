//! What there is in the database, as the model would have it.

use super::op::{LOG, QUEUES, Settings, TOPICS};
use super::reading::ASIDE;
use super::real::{BOUNDED, Real};
use super::seen::{Carried, LogState, Message, State, TopicState};
use super::sending::{header, label};
use outtray::{Expired, HistoryQuery, MessageId, MessageState};
use postgres::Row;
use std::collections::BTreeMap;
use uuid::Uuid;

impl Real {
    pub(super) fn state(&mut self) -> State {
        State {
            topics: (0..QUEUES).map(|topic| self.topic_state(topic)).collect(),
            log: self.log_state(),
            subscriptions: self.subscriptions(),
        }
    }

    fn log_state(&mut self) -> LogState {
        let sql = "SELECT id, key, coalesce(headers ->> 'label', 'none') AS header,
                trim('\"' FROM payload::text) AS payload
            FROM outtray.log_entry WHERE topic = $1 ORDER BY seq";
        let rows = self.place.client.query(sql, &[&TOPICS[LOG]]).unwrap();
        let dead = self.place.messaging.topic(ASIDE).dead_letters(10_000);
        let dead = dead.unwrap().into_iter();
        let mut dead: Vec<(usize, String)> = dead
            .map(|one| (label(&self.ids, one.id), one.reason.to_string()))
            .collect();
        dead.sort();
        LogState {
            entries: rows
                .iter()
                .map(|row| (self.label_of(row), row.get("key")))
                .collect(),
            dead,
        }
    }

    /// Returns the label of a message, whose payload and headers are those that it was sent with.
    fn label_of(&self, row: &Row) -> usize {
        let label = label(&self.ids, MessageId::from(row.get::<_, Uuid>("id")));
        let sent_as = *self.originals.get(&label).unwrap_or(&label);
        let words: [String; 2] = [row.get("header"), row.get("payload")];
        assert_eq!(words, [header(sent_as), sent_as.to_string()]);
        label
    }

    fn topic_state(&mut self, at: usize) -> TopicState {
        let (scheduled, leased) = (self.scheduled(at, false), self.scheduled(at, true));
        let carried = self.carried(at);
        let room = self.room();
        self.compare_stats_by_sql(at);
        let topic = self.topic(at);
        let mut ready = topic.peek(10_000).unwrap();
        ready.retain(|one| !matches!(one.state, MessageState::Leased { .. }));
        let dead = topic.dead_letters(10_000).unwrap();
        let stats = topic.stats().unwrap();
        let waiting = ready.len() + scheduled.len() + leased.len();
        assert_eq!(topic.is_empty().unwrap(), waiting == 0);
        // The first of them are ready.
        let behind = ready.split_off(usize::try_from(stats.ready).unwrap());
        let counts = [stats.scheduled, stats.leased, stats.behind, stats.dead];
        let found = [scheduled.len(), leased.len(), behind.len(), dead.len()];
        let found = found.map(|count| count as u64);
        assert_eq!(counts, found, "stats of {stats:?}");
        assert_eq!(stats.oldest_ready_age.is_some(), !ready.is_empty());
        if let Some(room) = room.filter(|_| at == BOUNDED) {
            assert_eq!(room, waiting as i64, "the room that is taken");
        }
        let message = |id: MessageId, priority: i16, attempts: u32, payload: String| Message {
            label: label(&self.ids, id),
            priority,
            attempts,
            fits: !payload.starts_with('"'),
        };
        let waiting = |one: outtray::WaitingMessage| {
            message(one.id, one.priority, one.attempts, one.payload.to_string())
        };
        let config = topic.config().unwrap();
        TopicState {
            ready: ready.into_iter().map(waiting).collect(),
            behind: behind.into_iter().map(waiting).collect(),
            dead: dead
                .into_iter()
                .map(|one| {
                    let payload = one.payload.to_string();
                    let reason = one.reason.to_string();
                    (message(one.id, one.priority, one.attempts, payload), reason)
                })
                .collect(),
            scheduled,
            leased,
            completions: self.completions(at),
            carried,
            history: self.history(at),
            is_paused: topic.is_paused().unwrap(),
            settings: Settings {
                max_attempts: config.max_attempts,
                is_delayed: config.delay.is_some(),
                drops_expired: config.expired == Some(Expired::Drop),
                poisoned_key: config.poisoned_key,
                is_double: config.max_in_work_per_key == Some(2),
            },
        }
    }

    /// Returns for how many messages room is taken; nothing while it is to be counted anew.
    fn room(&mut self) -> Option<i64> {
        let sql = "SELECT used - (SELECT coalesce(sum(messages), 0) FROM outtray.vacated)::bigint
            FROM outtray.room";
        let row = self.place.client.query_opt(sql, &[]).unwrap();
        row.map(|row| row.get(0))
    }

    fn compare_stats_by_sql(&mut self, topic: usize) {
        let query = "SELECT ready, scheduled, leased, behind, dead FROM outtray.stats($1)";
        let row = self.place.client.query_one(query, &[&TOPICS[topic]]);
        let row = row.unwrap();
        let by_sql = [0, 1, 2, 3, 4].map(|at| row.get::<_, i64>(at).unsigned_abs());
        let stats = self.topic(topic).stats().unwrap();
        let counts = [stats.ready, stats.scheduled, stats.leased];
        assert_eq!(by_sql[..3], counts, "by SQL, of {stats:?}");
        assert_eq!(by_sql[3..], [stats.behind, stats.dead]);
    }

    fn completions(&self, topic: usize) -> Vec<(usize, Option<String>)> {
        let mine = self.tracked.iter().filter(|(of, _)| *of == topic);
        mine.map(|&(_, label)| {
            let id = self.ids.lock().unwrap()[label];
            let end = self.place.messaging.completion(id).unwrap();
            (label, end.map(|end| end.how.to_string()))
        })
        .collect()
    }

    fn history(&self, topic: usize) -> Vec<(usize, Vec<String>)> {
        let query = HistoryQuery::topic(TOPICS[topic]).limit(10_000);
        let mut ends: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for one in self.place.messaging.history(&query).unwrap().iter().rev() {
            let label = label(&self.ids, one.id);
            ends.entry(label).or_default().push(one.how.to_string());
        }
        ends.into_iter().collect()
    }

    /// Finds out what each message carries.
    fn carried(&mut self, topic: usize) -> Vec<Carried> {
        let columns = "topic, id, key, on_end, expires_at, headers, payload";
        let tables = ["message", "scheduled", "follower", "dead_letter"];
        let all = tables.map(|table| format!("SELECT {columns} FROM outtray.{table}"));
        let sql = format!(
            "SELECT id, key, coalesce(on_end & 1 = 1, false), coalesce(expires_at <= now(), false),
                coalesce(headers ->> 'label', 'none') AS header, trim('\"' FROM payload::text) AS payload
            FROM ({}) AS message WHERE topic = $1",
            all.join(" UNION ALL ")
        );
        let rows = self.place.client.query(&sql, &[&TOPICS[topic]]).unwrap();
        let mut carried: Vec<Carried> = rows
            .iter()
            .map(|row| Carried {
                label: self.label_of(row),
                key: row.get(1),
                is_tracked: row.get(2),
                is_over: row.get(3),
            })
            .collect();
        carried.sort_by_key(|message| message.label);
        carried
    }

    /// Nothing of the public face lists what waits, or is leased.
    fn scheduled(&mut self, topic: usize, is_leased: bool) -> Vec<Message> {
        let sql = "SELECT id, -rank, attempts, payload::text FROM outtray.scheduled
            WHERE topic = $1 AND (receipt IS NOT NULL) = $2";
        let params: [&(dyn postgres::types::ToSql + Sync); 2] = [&TOPICS[topic], &is_leased];
        let rows = self.place.client.query(sql, &params).unwrap();
        let mut waiting: Vec<Message> = rows
            .iter()
            .map(|row| Message {
                label: label(&self.ids, MessageId::from(row.get::<_, Uuid>(0))),
                priority: row.get(1),
                attempts: row.get::<_, i16>(2).unsigned_abs().into(),
                fits: !row.get::<_, String>(3).starts_with('"'),
            })
            .collect();
        waiting.sort_by_key(|message| message.label);
        waiting
    }
}
