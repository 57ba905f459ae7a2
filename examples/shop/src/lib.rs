//! A shop, for the sake of its tests: orders are paid, shipped and reported, by mails.
//!
//! It uses outtray as any program does. Its tests show each part of `outtray::testing`.

use outtray::{
    Backoff, HandlerError, Message, Messaging, MessagingSession, NewMessage, Receiver, Recurrence,
};
use outtray::{ReceiverBuilder, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What somebody ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: i32,
    /// Where it goes; nowhere, if empty.
    pub address: String,
}

/// A mail to a customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// The order it is about.
    pub order: i32,
    /// What it says.
    pub text: String,
}

/// The tables of the shop.
pub const TABLES: &str = "
    CREATE TABLE orders (id integer PRIMARY KEY, address text NOT NULL);
    CREATE TABLE shipment (order_id integer NOT NULL REFERENCES orders);
";

/// How long after the shipment a customer is asked how it was.
pub const UNTIL_ASKED: Duration = Duration::from_secs(3 * 86_400);

/// Stores an order and has it shipped, as part of a transaction.
pub fn place(session: &mut MessagingSession, order: &Order) -> Result<()> {
    let sql = "INSERT INTO orders VALUES ($1, $2)";
    session.execute(sql, &[&order.id, &order.address])?;
    session.send(NewMessage::json("orders", order)?.key(format!("order-{}", order.id)))?;
    Ok(())
}

/// Ships an order: the handler of the topic `orders`.
pub fn ship(session: &mut MessagingSession, order: Message<Order>) -> Result<(), HandlerError> {
    let Order { id, address } = order.payload;
    if address.is_empty() {
        return Err(HandlerError::reject("there is no address"));
    }
    session.execute("INSERT INTO shipment VALUES ($1)", &[&id])?;
    let text = format!("it goes to {address}");
    session.send_message("mails", &Mail { order: id, text })?;
    let later = NewMessage::json(
        "mails",
        &Mail {
            order: id,
            text: "how was it?".to_owned(),
        },
    )?;
    session.send(later.delay(UNTIL_ASKED))?;
    session.publish("orders.shipped", &id)?;
    Ok(())
}

/// Sets how orders are received.
pub fn orders(receiver: ReceiverBuilder<'_>) -> ReceiverBuilder<'_> {
    receiver.max_attempts(3).backoff(Backoff::exponential(
        Duration::from_secs(10),
        2.0,
        Duration::from_secs(3600),
    ))
}

/// Has the shop's report sent every night.
pub fn report_nightly(messaging: &Messaging) -> Result<()> {
    let nightly = Recurrence::cron("0 3 * * *")?;
    messaging.repeat("nightly", &nightly, NewMessage::json("reports", &())?)?;
    Ok(())
}

/// Starts the shop.
pub fn open(messaging: &Messaging) -> Result<Receiver> {
    report_nightly(messaging)?;
    orders(messaging.receiver("orders")).start(ship)
}
