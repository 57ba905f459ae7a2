//! Tenants over several schemas and servers: a function of your own says whose messages are where.
//!
//! `cargo run --example tenants` needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{Message, Messaging, MessagingSession, NewMessage};
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// The message system of each tenant, as a file or a table of yours has it: where messages were
/// sent they stay, so that no hash may say something else tomorrow.
struct Tenants(BTreeMap<&'static str, Messaging>);

impl Tenants {
    fn of(&self, tenant: &str) -> Result<&Messaging, String> {
        let found = self.0.get(tenant);
        found.ok_or_else(|| format!("no tenant {tenant}"))
    }
}

/// Each schema is a message system of its own.
fn connect(url: &str, schema: &str) -> outtray::Result<Messaging> {
    let messaging = Messaging::builder().url(url).schema(schema).connect()?;
    messaging.migrate()?;
    Ok(messaging)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start()?;
    // Two databases share no more than two servers do.
    let (first, second) = (server.database()?, server.database()?);
    let tenants = Tenants(BTreeMap::from([
        ("ann", connect(&first, "ann")?),
        ("bob", connect(&first, "bob")?),
        ("eve", connect(&second, "eve")?),
    ]));

    // The same topic and the same dedupe key, and no tenant has anything of another's.
    for tenant in ["ann", "bob", "eve", "bob"] {
        let order = NewMessage::json("orders", tenant)?.dedupe("order-1", DAY);
        let sent = tenants.of(tenant)?.send(order)?;
        println!("{tenant}: a duplicate: {}", sent.is_duplicate());
    }
    println!("{}", tenants.of("dan").unwrap_err());

    // Two schemas of one database: what a handler of the one sends to the other commits with it.
    let (ann, bob) = (tenants.of("ann")?, tenants.of("bob")?);
    ann.drain("orders", |session, order: Message<String>| {
        let mut part = session.transaction()?;
        MessagingSession::join(bob, &mut part)?.send_message("bills", &order.payload)?;
        part.commit()?; // of a savepoint: the handler's own transaction commits all of it
        Ok(())
    })?;

    // Two databases: a second transaction, which may run again, and the id that makes it once.
    tenants
        .of("eve")?
        .drain("orders", |_, order: Message<String>| {
            let bill = NewMessage::json("bills", &order.payload)?;
            bob.send(bill.dedupe(order.id.to_string(), DAY))?;
            Ok(())
        })?;

    for (tenant, messaging) in &tenants.0 {
        for topic in messaging.topics()? {
            println!("{tenant}: {} has {} ready", topic.topic, topic.ready);
        }
    }
    Ok(())
}
