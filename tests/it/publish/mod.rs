//! What is published is copied to every topic that subscribed to it.

mod admitted;
mod by_hand;
mod changing;
mod ephemeral;
mod filters;
mod handlers;
mod isolation;
mod killed;
mod patterns;
mod transactions;

use crate::support::Place;
use outtray::{Message, Messaging};

/// Publishes a number in a session of its own; returns how many copies that made.
#[track_caller]
fn publish(messaging: &Messaging, key: &str, number: i32) -> usize {
    let published = messaging.session(|session| Ok(session.publish(key, &number)?));
    published.unwrap().copies
}

/// Takes all that a topic has, and returns the payloads.
#[track_caller]
fn taken(messaging: &Messaging, topic: &str) -> Vec<i32> {
    let mut taken = Vec::new();
    messaging
        .drain(topic, |_, message: Message<i32>| {
            taken.push(message.payload);
            Ok(())
        })
        .unwrap();
    taken
}

/// Makes a place in which a topic subscribed to everything below `orders`.
fn subscribed(topic: &str) -> Place {
    let place = Place::new();
    place.messaging.subscribe("orders.#", topic).unwrap();
    place
}
