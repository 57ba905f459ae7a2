//! Headers: the type and version of a message, who caused it, and an event for other systems.
//!
//! `cargo run --example headers` needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{CloudEvent, ContentMode, EventData, Message, Messaging, NewMessage, Payload};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    let messaging = Messaging::connect(&server.database()?)?;

    // What the message says, and in which version of its schema.
    let order = NewMessage::json("orders", &json!({"order": 42}))?
        .message_type("order.placed")
        .schema_version(2)
        .correlation_id("order-42")
        .traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let placed = messaging.send(order)?.id();

    // What the handler sends carries on from its message by itself.
    messaging.drain("orders", |session, order: Message| {
        let what = order.message_type().unwrap_or("something");
        let version = order.schema_version().unwrap_or_default();
        println!("handled   {what}, version {version}");
        session.send_message("parcels", &order.payload)?;
        Ok(())
    })?;

    // The parcel becomes an event for other systems: its attributes are headers.
    messaging.drain("parcels", |session, parcel: Message| {
        let is_placed = parcel.causation_id() == Some(placed.to_string().as_str());
        println!("caused by that order: {is_placed}");
        println!("part of   {}", parcel.correlation_id().unwrap_or("nothing"));
        println!("trace     {}", parcel.traceparent().unwrap_or("none"));
        let id = parcel.id.to_string();
        let mut event = CloudEvent::new(id, "/shop", "com.example.parcel.sent");
        event.subject = Some("order-42".to_owned());
        event.data = Some(EventData::json(&parcel.payload)?);
        session.send(event.to_message("events", ContentMode::Binary)?)?;
        Ok(())
    })?;

    // Whoever reads it need not know in which mode it was written.
    messaging.drain("events", |_, message: Message<Payload>| {
        let event = CloudEvent::from_message(&message)?.ok_or("this is no event")?;
        let subject = event.subject.as_deref().unwrap_or_default();
        println!(
            "event     {} of {}, {subject}",
            event.event_type, event.source
        );
        println!("data      {}", event.decode::<Value>()?);
        println!(
            "part of   {}",
            message.correlation_id().unwrap_or("nothing")
        );
        Ok(())
    })?;
    Ok(())
}
