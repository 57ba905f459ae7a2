//! A row that another program wrote, or a hand, stands for itself alone: what cannot be read is set
//! aside, and everything else goes on.

mod looking;
mod messages;
mod odd_values;
mod recurring;

use crate::support::Place;
use outtray::DeadReason;

/// Headers that are JSON and no texts by name. The last two are texts that no receiver can read.
const HEADERS: &[&str] = &[
    r#"{"retry": 3}"#,
    r#"{"kind": "good", "at": true}"#,
    r#"{"kind": "good", "by": {"name": "hand"}}"#,
    r#"{"kind": "good", "size": 1e400}"#,
    r#"["kind", "good"]"#,
    "7",
    "null",
    r#""kind""#,
    r#"{"kind": "good", "half": "\ud800"}"#,
    r#"{"\udc00": "good"}"#,
];

impl Place {
    /// Writes a ready message as another program does, with headers of its own.
    fn write(&mut self, topic: &str, headers: &str, payload: &str) {
        let write = "INSERT INTO outtray.message (topic, rank, id, headers, payload)
            VALUES ($1, 0, gen_random_uuid(), $2::text::json, $3::text::json)";
        let params: [&(dyn postgres::types::ToSql + Sync); 3] = [&topic, &headers, &payload];
        self.client.execute(write, &params).unwrap();
    }

    /// Writes ready messages with headers that cannot be read, each followed by a good one; returns
    /// how many of each.
    fn write_both(&mut self, topic: &str) -> usize {
        let deep = format!(
            r#"{{"kind": "good", "deep": {}}}"#,
            "[".repeat(500) + &"]".repeat(500)
        );
        let headers: Vec<&str> = HEADERS.iter().copied().chain([deep.as_str()]).collect();
        for (number, headers) in headers.iter().enumerate() {
            self.write(topic, headers, "-1");
            self.write(topic, r#"{"kind": "good"}"#, &number.to_string());
        }
        headers.len()
    }

    /// Checks that so many messages were set aside since their headers could not be read, after one
    /// attempt.
    #[track_caller]
    fn check_set_aside(&self, topic: &str, count: usize) {
        let letters = self.dead_letters(topic);
        assert_eq!(letters.len(), count);
        for letter in letters {
            assert_eq!(letter.reason, DeadReason::Undecodable);
            assert_eq!(letter.attempts, 1);
            assert!(letter.error.contains("headers"), "{}", letter.error);
            assert_eq!(letter.payload.to_string(), "-1");
        }
    }
}
