//! Rows that somebody else writes: another program, a hand, or a copy of the tables.

use super::Place;

impl Place {
    pub(crate) fn set_sequence(&mut self, sequence: &str, value: i64) {
        self.sql(&format!(
            "SELECT setval('outtray.{sequence}', {value}, false)"
        ));
    }

    /// Leaves all sequences behind, as a copy of the tables does.
    pub(crate) fn leave_sequences_behind(&mut self) {
        for sequence in ["message_seq", "worker_seq", "vacated_seq"] {
            self.set_sequence(sequence, 1);
        }
    }

    /// Writes the row of a receiver that died at work.
    pub(crate) fn write_dead_worker(&mut self, topic: &str, id: i64) {
        self.sql(&format!(
            "INSERT INTO outtray.worker (topic, id, process, holds_lock, shift) VALUES ('{topic}', {id}, 'gone', true, 1)"
        ));
    }

    /// Writes a topic's settings as a hand does.
    pub(crate) fn write_config(&mut self, topic: &str, document: &str) {
        let write = "INSERT INTO outtray.topic (topic, config) VALUES ($1, $2::text::json)
            ON CONFLICT (topic) DO UPDATE SET config = excluded.config";
        self.client.execute(write, &[&topic, &document]).unwrap();
    }

    pub(crate) fn config_text(&mut self, topic: &str) -> Option<String> {
        let read = "SELECT config::text FROM outtray.topic WHERE topic = $1";
        self.client.query_one(read, &[&topic]).unwrap().get(0)
    }

    /// Writes a ready message as another program does, with headers of its own.
    pub(crate) fn write(&mut self, topic: &str, headers: &str, payload: &str) {
        let write = "INSERT INTO outtray.message (topic, rank, id, headers, payload)
            VALUES ($1, 0, gen_random_uuid(), $2::text::json, $3::text::json)";
        let params: [&(dyn postgres::types::ToSql + Sync); 3] = [&topic, &headers, &payload];
        self.client.execute(write, &params).unwrap();
    }

    /// Returns all that is known of the messages with keys, wherever they wait.
    pub(crate) fn rows_of_keys(&mut self) -> Vec<String> {
        let columns = "seq, rank, topic, key, id, attempts, sent_at, expires_at, on_end, headers::text, payload::text, body";
        let query = format!(
            "SELECT row(known.*)::text FROM (
                SELECT {columns} FROM outtray.message UNION ALL SELECT {columns} FROM outtray.follower
            ) AS known ORDER BY seq"
        );
        let rows = self.client.query(&query, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}
