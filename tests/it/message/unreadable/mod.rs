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

/// Writes ready messages with headers that cannot be read, each followed by a good one; returns
/// how many of each.
fn write_both(place: &mut Place, topic: &str) -> usize {
    let deep = format!(
        r#"{{"kind": "good", "deep": {}}}"#,
        "[".repeat(500) + &"]".repeat(500)
    );
    let headers: Vec<&str> = HEADERS.iter().copied().chain([deep.as_str()]).collect();
    for (number, headers) in headers.iter().enumerate() {
        place.write(topic, headers, "-1");
        place.write(topic, r#"{"kind": "good"}"#, &number.to_string());
    }
    headers.len()
}

/// Checks that so many messages were set aside since their headers could not be read, after one
/// attempt.
#[track_caller]
fn check_set_aside(place: &Place, topic: &str, count: usize) {
    let letters = place.dead_letters(topic);
    assert_eq!(letters.len(), count);
    for letter in letters {
        assert_eq!(letter.reason, DeadReason::Undecodable);
        assert_eq!(letter.attempts, 1);
        assert!(letter.error.contains("headers"), "{}", letter.error);
        assert_eq!(letter.payload.to_string(), "-1");
    }
}
