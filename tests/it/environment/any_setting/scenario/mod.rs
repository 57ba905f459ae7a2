//! Everything once, written down without ids and times, so that two runs can be compared.

mod failing;
mod sending;

use crate::support::{DAY, PATIENCE, pass_time};
use outtray::envelope::{CAUSATION_ID, CORRELATION_ID};
use outtray::{Backoff, HandlerError, Message, Messaging, NewMessage, Payload, Result};
use postgres::Client;
use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Waits a while for something, and goes on: what did not happen shows in what follows.
fn await_for(happened: impl Fn() -> bool) {
    let started = Instant::now();
    while !happened() && started.elapsed() < PATIENCE {
        pass_time(Duration::from_millis(5));
    }
}

const SOON: Duration = Duration::from_millis(1);

/// What happened.
struct Notes(Vec<String>);

impl Notes {
    /// Writes down what came of something.
    fn note<T: Debug, E: Debug>(
        &mut self,
        what: &str,
        result: std::result::Result<T, E>,
    ) -> Option<T> {
        let line = match &result {
            Ok(value) => format!("{what}: {value:?}"),
            Err(error) => format!("{what}: FAILED {error:?}"),
        };
        self.0.push(line);
        result.ok()
    }
}

/// Makes the schema and does everything once; says what happened.
pub(super) fn run(url: &str, is_pooler_safe: bool, client: &mut Client) -> Vec<String> {
    let mut notes = Notes(Vec::new());
    let connected = Messaging::builder()
        .url(url)
        .pooler_safe(is_pooler_safe)
        .poll_interval(Duration::from_millis(20))
        .checkout_timeout(PATIENCE)
        .connect();
    let messaging = match connected {
        Ok(messaging) => messaging,
        Err(error) => return vec![format!("connect: FAILED {error:?}")],
    };
    if notes.note("migrate", messaging.migrate()).is_none() {
        return notes.0;
    }
    let migrated = notes.note("again", messaging.migrate());
    assert!(migrated.is_none_or(|applied| applied.is_empty()));
    for (name, part) in PARTS {
        let came = part(&messaging, &mut notes, client);
        notes.note(name, came.map_err(|error| error.to_string()));
    }
    notes.0
}

type Part = fn(&Messaging, &mut Notes, &mut Client) -> std::result::Result<(), HandlerError>;

const PARTS: [(&str, Part); 12] = [
    ("payloads", sending::payloads),
    ("keys", sending::keys),
    ("delays", sending::delays),
    ("dedupe", sending::dedupe),
    ("publishing", sending::publishing),
    ("ends", ends),
    ("leases", leases),
    ("failures", failing::failures),
    ("cancelling", failing::cancelling),
    ("limits", failing::limits),
    ("own sql", own_sql),
    ("receivers", receivers),
];

/// Empties a topic and writes down what came.
fn drain(messaging: &Messaging, notes: &mut Notes, topic: &str) -> Result<()> {
    let (tell, told) = crossbeam_channel::unbounded();
    let report = messaging
        .receiver(topic)
        .backoff(Backoff::fixed(Duration::ZERO))
        .drain(move |session, message: Message<Payload>| {
            session.query("SELECT 1", &[])?;
            session.record_result(&message.payload.to_string())?;
            let Message {
                payload,
                mut headers,
                key,
                priority,
                attempt,
                ..
            } = message;
            // Ids are others in each run.
            for name in [CAUSATION_ID, CORRELATION_ID] {
                headers
                    .entry(name.to_owned())
                    .and_modify(|id| *id = "an id".to_owned());
            }
            Ok(tell.send((payload, headers, key, priority, attempt))?)
        })?;
    let mut came: Vec<_> = told.try_iter().map(|came| format!("{came:?}")).collect();
    came.sort();
    notes.0.push(format!("{topic}: {came:?} {report:?}"));
    Ok(())
}

fn ends(
    messaging: &Messaging,
    notes: &mut Notes,
    client: &mut Client,
) -> std::result::Result<(), HandlerError> {
    let tracked = messaging
        .send(NewMessage::json("ends", &1)?.tracked())?
        .id();
    let group = messaging.session(|session| {
        let after = NewMessage::json("ends", &2)?.after(&[tracked]).tracked();
        session.send(after)?;
        let members = [
            NewMessage::bytes("ends", [3]),
            NewMessage::json("ends", &4)?.key("k"),
        ];
        Ok(session.send_group(members, NewMessage::json("ends", &5)?)?)
    })?;
    drain(messaging, notes, "ends")?;
    client
        .batch_execute("UPDATE outtray.scheduled SET due_at = now() WHERE due_at < 'infinity'")?;
    drain(messaging, notes, "ends")?;
    let completion = messaging.wait_for_completion(tracked, PATIENCE)?;
    let age = completion
        .as_ref()
        .and_then(|end| end.ended_at.elapsed().ok());
    notes
        .0
        .push(format!("{:?}", completion.map(|end| (end.how, end.result))));
    notes.0.push(format!(
        "{}",
        age.is_none_or(|age| age < Duration::from_secs(600))
    ));
    let progress = messaging.group_progress(group.id)?;
    notes
        .0
        .push(format!("{} of {}", progress.ended, progress.members));
    Ok(())
}

fn leases(
    messaging: &Messaging,
    notes: &mut Notes,
    _: &mut Client,
) -> std::result::Result<(), HandlerError> {
    let topic = messaging.topic("leases");
    messaging.session(|session| {
        session.send(NewMessage::bytes("leases", [1, 92, 255]).header("h", "v"))?;
        session.send(NewMessage::json("leases", "two")?.key("k"))?;
        session.send(NewMessage::json("leases", "three")?.key("k"))?;
        session.send(NewMessage::json("leases", "four")?)?;
        Ok(())
    })?;
    let taken = topic.receive_batch::<Payload>(9, DAY)?;
    for delivery in &taken {
        let message = delivery.message();
        notes.0.push(format!(
            "{:?} {:?} {:?} {}",
            message.payload, message.headers, message.key, message.attempt
        ));
    }
    taken[0].extend(DAY / 2)?;
    taken[0].settle_in(|session| Ok(session.send_message("leases", "next")?))?;
    taken[1].ack_with(&"result")?;
    taken[2].reject("no")?;
    drop(taken);
    let leased = topic.receive::<Payload>(DAY)?;
    notes.0.push(format!(
        "{:?}",
        leased.as_ref().map(|leased| leased.payload.to_string())
    ));
    if let Some(leased) = leased {
        leased.release()?;
    }
    messaging.ack_all(&topic.receive_batch::<Payload>(9, DAY)?)?;
    notes.0.push(format!(
        "{:?}",
        topic
            .stats()
            .map(|it| (it.ready, it.leased, it.behind, it.dead))
    ));
    let receiver =
        messaging
            .receiver("leases")
            .lease(DAY)
            .start(|session, message: Message<Payload>| {
                session.send(NewMessage::payload("leased", &message.payload))?;
                Ok(())
            })?;
    messaging.send(NewMessage::bytes("leases", [92, 0]))?;
    await_for(|| topic.is_empty().is_ok_and(|is_empty| is_empty));
    receiver.stop(PATIENCE);
    drain(messaging, notes, "leased")?;
    Ok(())
}

/// Statements of the caller, as text and prepared.
fn own_sql(
    messaging: &Messaging,
    notes: &mut Notes,
    _: &mut Client,
) -> std::result::Result<(), HandlerError> {
    messaging.session(|session| {
        Ok(session.batch_execute("CREATE TABLE outtray.own (n int, t text, b bytea, j jsonb)")?)
    })?;
    let text = "it's \\ \n €";
    messaging.session(|session| Ok(session.send_messages("own", 0..4)?))?;
    messaging
        .receiver("own")
        .drain(move |session, message: Message<i32>| {
            let (bytes, json) = (vec![92_u8, 0, 255], serde_json::json!({"a": text}));
            session.execute(
                "INSERT INTO outtray.own VALUES ($1, $2, $3, $4::text::jsonb)",
                &[&message.payload, &text, &bytes, &json.to_string()],
            )?;
            Ok(())
        })?;
    let rows = messaging.session(|session| {
        Ok(session.query("SELECT n, t, b, j::text FROM outtray.own ORDER BY n", &[])?)
    })?;
    for row in rows {
        let seen: (i32, String, Vec<u8>, String) = (row.get(0), row.get(1), row.get(2), row.get(3));
        notes.0.push(format!("{seen:?}"));
    }
    Ok(())
}

fn receivers(
    messaging: &Messaging,
    notes: &mut Notes,
    client: &mut Client,
) -> std::result::Result<(), HandlerError> {
    let (tell, told) = crossbeam_channel::unbounded();
    let receiver = messaging
        .receiver("receivers")
        .workers(3)
        .backoff(Backoff::fixed(SOON))
        .start(move |session, message: Message<i32>| {
            session.query("SELECT pg_catalog.now()", &[])?;
            match message.attempt {
                1 if message.payload == 2 => Err(HandlerError::failed("again")),
                _ => Ok(tell.send(message.payload)?),
            }
        })?;
    messaging.session(|session| Ok(session.send_messages("receivers", 0..20)?))?;
    messaging.send(NewMessage::json("receivers", &20)?.delay(SOON).key("k"))?;
    repeat(messaging, client)?;
    let mut came: Vec<_> = (0..22)
        .map_while(|_| told.recv_timeout(PATIENCE).ok())
        .collect();
    came.sort_unstable();
    receiver.stop(PATIENCE);
    notes.0.push(format!("{came:?}"));
    Ok(())
}

#[cfg(feature = "cron")]
fn repeat(messaging: &Messaging, client: &mut Client) -> std::result::Result<(), HandlerError> {
    let yearly = outtray::Recurrence::cron("0 0 1 1 *")?.time_zone("Europe/Berlin")?;
    messaging.repeat(
        "r",
        &yearly,
        NewMessage::json("receivers", &21)?.header("a", "'\\"),
    )?;
    client.batch_execute("UPDATE outtray.recurring SET next_at = now() - interval '1 second'")?;
    Ok(())
}

#[cfg(not(feature = "cron"))]
fn repeat(messaging: &Messaging, _: &mut Client) -> std::result::Result<(), HandlerError> {
    messaging.send(NewMessage::json("receivers", &21)?)?;
    Ok(())
}
