//! Webhooks: events come in as lines of JSON, are stored by type, and each repository is announced
//! once.
//!
//! `cargo run --example webhooks [FILE]`: each line of the file is
//! `{"type": …, "key": …, "payload": …}`, where the key names the repository. Without a file it
//! takes a handful of its own. Needs nothing running, only PostgreSQL's programs installed.

use outtray::testing::Server;
use outtray::{Message, Messaging, NewMessage};
use std::error::Error;

const A_HANDFUL: &str = r#"{"type":"push","key":"tools/hammer","payload":{"commits":2}}
{"type":"star","key":"tools/hammer","payload":{"by":"ada"}}
{"type":"push","key":"tools/saw","payload":{"commits":1}}
{"type":"push","key":"tools/hammer","payload":{"commits":5}}
{"type":"star","key":"tools/saw","payload":{"by":"grace"}}
"#;

#[derive(serde::Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    key: String,
    payload: serde_json::Value,
}

fn main() -> Result<(), Box<dyn Error>> {
    let lines = match std::env::args().nth(1) {
        Some(file) => std::fs::read_to_string(file)?,
        None => A_HANDFUL.to_owned(),
    };
    let server = Server::start()?;
    let messaging = Messaging::connect(&server.database()?)?;
    messaging.session(|session| {
        session.batch_execute(
            "CREATE TABLE event (id uuid PRIMARY KEY, kind text, repository text, payload text);
             CREATE TABLE repository (name text PRIMARY KEY)",
        )?;
        // The text is sent as it is, once it has been found to be JSON.
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            session.send(NewMessage::json_text("webhooks", line)?)?;
        }
        Ok(())
    })?;

    let events = messaging.drain("webhooks", |session, message: Message<Event>| {
        let Event { kind, key, payload } = message.payload;
        session.execute(
            "INSERT INTO event VALUES ($1, $2, $3, $4)",
            &[&message.id.as_uuid(), &kind, &key, &payload.to_string()],
        )?;
        // The row says that the repository was announced; it commits with the announcement.
        let is_new = session.execute(
            "INSERT INTO repository VALUES ($1) ON CONFLICT DO NOTHING",
            &[&key],
        )?;
        if is_new == 1 {
            session.send_message("repositories", &key)?;
        }
        Ok(())
    })?;
    println!(
        "events        {} handled, {} dead",
        events.handled, events.dead
    );

    let kinds = "SELECT kind, count(*) FROM event GROUP BY kind ORDER BY kind";
    for row in messaging.session(|session| Ok(session.query(kinds, &[])?))? {
        let (kind, count): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        println!("              {count} of type {kind}");
    }
    let repositories = messaging.drain("repositories", |_, _: Message<String>| Ok(()))?;
    println!("repositories  {} announced", repositories.handled);
    Ok(())
}
