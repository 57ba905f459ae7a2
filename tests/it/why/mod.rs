//! Why a message is not handled now, or what became of it: the answer for each state that a message
//! can be in, and while it changes.

mod changing;
mod ended;
mod guide;
mod in_hand;
mod kept_back;
mod locked;
mod waiting;

use crate::support::Place;
use outtray::{MessageId, Messaging, NewMessage, Obstacle, TopicConfig, Why};

const TOPIC: &str = "jobs";

/// Asks, and checks that the answer names the message, and can be read by machines.
#[track_caller]
fn why(place: &Place, id: MessageId) -> Why {
    let why = place.messaging.why(id).unwrap();
    let json = serde_json::to_value(&why).unwrap();
    assert_eq!(json["id"], id.to_string());
    assert!(json["state"].is_string(), "{json}");
    assert!(why.to_string().starts_with(&format!("message {id} ")));
    why
}

/// Returns the names of what keeps a message, as machines read them.
fn obstacles(why: &Why) -> Vec<String> {
    let name = |obstacle: &Obstacle| {
        let json = serde_json::to_value(obstacle).unwrap();
        json["obstacle"].as_str().unwrap().to_owned()
    };
    why.obstacles.iter().map(name).collect()
}

#[track_caller]
fn check_sentence(why: &Why, parts: &[&str]) {
    let sentence = why.to_string();
    for part in parts {
        assert!(sentence.contains(part), "no {part:?} in: {sentence}");
    }
}

fn job(payload: i32) -> NewMessage {
    NewMessage::json(TOPIC, &payload).unwrap()
}

fn configure(place: &Place, config: TopicConfig) {
    place.messaging.topic(TOPIC).configure(config).unwrap();
}

/// Connects as a role that may read the tables, and does not see what others do.
fn guest(place: &mut Place) -> Messaging {
    let name = format!("guest_{}", uuid::Uuid::now_v7().simple());
    place.sql(&format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'secret';
        GRANT USAGE ON SCHEMA outtray TO {name};
        GRANT SELECT ON ALL TABLES IN SCHEMA outtray TO {name}"
    ));
    let (_, rest) = place.url.rsplit_once('@').unwrap();
    Messaging::connect(&format!("postgresql://{name}:secret@{rest}")).unwrap()
}
