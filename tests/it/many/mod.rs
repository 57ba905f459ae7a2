//! Several message systems in one process, in schemas of one database or on several servers, share
//! nothing: what happens in one is not seen in another, and each costs little.

mod cost;
mod crossing;
mod deaths;
mod schemas;
mod servers;
mod sends;

use crate::support::{NO_POLLING, Place, database};
use outtray::{Messaging, NewMessage, TopicConfig};

/// The schema beside `outtray`.
const OTHER: &str = "other_1";

/// Two schemas of one database, as one process has them: that of the place, and another.
fn two_schemas() -> (Place, Messaging) {
    let place = Place::new();
    let other = schema(&place.url, OTHER);
    (place, other)
}

/// The same where only notifications are in time.
fn two_without_polling() -> (Place, Messaging) {
    let place = Place::polling(NO_POLLING);
    schema(&place.url, OTHER);
    let other = Messaging::builder().url(&place.url).schema(OTHER);
    let other = other.poll_interval(NO_POLLING).connect().unwrap();
    (place, other)
}

/// Makes a message system in a schema of a database.
fn schema(url: &str, name: &str) -> Messaging {
    let messaging = Messaging::builder()
        .url(url)
        .schema(name)
        .connect()
        .unwrap();
    messaging.migrate().unwrap();
    messaging
}

/// Two databases, as two servers have them.
fn two_databases() -> (Place, Place) {
    (Place::new(), {
        let url = database();
        Place::over(&url, Messaging::connect(&url).unwrap())
    })
}

fn job(number: i32) -> NewMessage {
    NewMessage::json("jobs", &number).unwrap()
}

fn ready(messaging: &Messaging) -> u64 {
    messaging.topic("jobs").stats().unwrap().ready
}

/// Settings of one message in work.
fn one_in_work() -> TopicConfig {
    TopicConfig {
        max_in_work: Some(1),
        ..TopicConfig::default()
    }
}
