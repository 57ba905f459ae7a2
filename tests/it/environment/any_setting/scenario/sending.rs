//! What is sent: in every form, with keys, for later, once.

use super::{Notes, SOON, await_for, drain};
use crate::support::DAY;
use outtray::{HandlerError, Message, Messaging, NewMessage};
use postgres::Client;

pub(super) fn payloads(
    messaging: &Messaging,
    notes: &mut Notes,
    _: &mut Client,
) -> std::result::Result<(), HandlerError> {
    let odd = "it's a \\ \"ü\" €\n\\x41 \\101";
    let bytes: Vec<u8> = (0..=255).collect();
    let json = serde_json::json!({"text": odd, "number": 1.0e-7, "list": [null, true, 12345678901234567_u64]});
    messaging.session(|session| {
        session.send(
            NewMessage::json("payloads", &json)?
                .header("odd", odd)
                .priority(3),
        )?;
        session.send(NewMessage::bytes("payloads", bytes.clone()).header("a", "1"))?;
        session.send(NewMessage::bytes("payloads", b"\\x41\\101''".to_vec()))?;
        session.send(NewMessage::bytes("payloads", Vec::new()))?;
        Ok(())
    })?;
    messaging.send(NewMessage::bytes("payloads", b"alone".to_vec()).expires_in(DAY))?;
    messaging.session(|session| {
        Ok(session.send_all((0..5).map(|n| NewMessage::bytes("payloads", [n, 92, 39])))?)
    })?;
    let peeked = messaging.topic("payloads").peek(20)?;
    let peeked: Vec<_> = peeked
        .into_iter()
        .map(|it| (it.payload, it.headers, it.priority))
        .collect();
    notes.0.push(format!("peek {peeked:?}"));
    drain(messaging, notes, "payloads")?;
    Ok(())
}

pub(super) fn keys(
    messaging: &Messaging,
    notes: &mut Notes,
    _: &mut Client,
) -> std::result::Result<(), HandlerError> {
    let keyed = |key: &str, n: i32| NewMessage::json("keys", &n).map(|it| it.key(key));
    messaging.session(|session| {
        for n in 0..3 {
            session.send(keyed("a'\\", n)?)?;
            session.send(keyed("NULL", n)?)?;
            session.send(NewMessage::json("keys", &n)?)?;
        }
        Ok(())
    })?;
    messaging.send(keyed("b", 7)?)?;
    messaging.send(keyed("b", 8)?.expires_in(DAY))?;
    messaging
        .topic("keys")
        .reconfigure(|config| config.max_in_work_per_key = Some(2))?;
    let stats = messaging.topic("keys").stats()?;
    notes
        .0
        .push(format!("{} ready, {} behind", stats.ready, stats.behind));
    drain(messaging, notes, "keys")?;
    Ok(())
}

pub(super) fn delays(
    messaging: &Messaging,
    notes: &mut Notes,
    client: &mut Client,
) -> std::result::Result<(), HandlerError> {
    let topic = messaging.topic("delays");
    messaging.send(NewMessage::json("delays", &1)?.delay(DAY).key("k"))?;
    messaging.send(
        NewMessage::bytes("delays", [92])
            .delay(DAY)
            .header("a", "b"),
    )?;
    let tomorrow = client
        .query_one("SELECT now() + interval '1 day'", &[])?
        .get(0);
    messaging.send(NewMessage::json("delays", &3)?.at(tomorrow))?;
    for waiting in topic.scheduled(9)? {
        let hours = waiting.due_in.map(|due| due.as_secs_f64() / 3600.0);
        let is_due = hours.is_some_and(|hours| (23.9..24.1).contains(&hours));
        notes.0.push(format!(
            "{:?} {:?} {is_due}",
            waiting.payload, waiting.reason
        ));
    }
    client.batch_execute("UPDATE outtray.scheduled SET due_at = now() - interval '1 second'")?;
    drain(messaging, notes, "delays")?;
    messaging.send(NewMessage::json("delays", &4)?.expires_in(SOON))?;
    await_for(|| {
        let _ = messaging.receiver("delays").drain(|_, _: Message| Ok(()));
        topic.stats().is_ok_and(|stats| stats.ready == 0)
    });
    Ok(())
}

pub(super) fn dedupe(
    messaging: &Messaging,
    notes: &mut Notes,
    _: &mut Client,
) -> std::result::Result<(), HandlerError> {
    let once = |n: i32| NewMessage::json("dedupe", &n).map(|it| it.dedupe(format!("d{n}"), DAY));
    let mut sent = Vec::new();
    for n in [1, 1, 2] {
        sent.push(messaging.send(once(n)?)?.is_duplicate());
    }
    messaging.session(|session| {
        for message in
            session.send_all([once(2)?, once(3)?.key("k"), once(3)?, once(4)?.delay(SOON)])?
        {
            sent.push(message.is_duplicate());
        }
        Ok(())
    })?;
    notes.0.push(format!("{sent:?}"));
    Ok(())
}

pub(super) fn publishing(
    messaging: &Messaging,
    notes: &mut Notes,
    _: &mut Client,
) -> std::result::Result<(), HandlerError> {
    messaging.subscribe("published.*", "publishing")?;
    messaging.subscribe_matching("#.größe", "publishing-too", &"n >= 2".parse()?)?;
    let mut copies = Vec::new();
    for n in 1..4 {
        let message = NewMessage::json("", &n)?.header("n", n.to_string());
        let published = messaging.publish_message("published.größe", message.clone())?;
        copies.push(published.copies);
        copies.push(messaging.session(|session| {
            session.query("SELECT 1", &[])?;
            Ok(session.publish_message("published.größe", message)?.copies)
        })?);
    }
    let subscriptions = messaging.subscriptions()?;
    notes.0.push(format!("{copies:?} {subscriptions:?}"));
    drain(messaging, notes, "publishing")?;
    Ok(drain(messaging, notes, "publishing-too")?)
}
