//! What a session's own SQL sets, it finds as it set it, whatever its verbs did in between.

use crate::support::{DAY, MINUTE, Place, by_socket, client};
use outtray::{
    Delivery, HandlerError, Message, Messaging, MessagingSession, NewMessage, TopicConfig,
};
use std::sync::Mutex;

/// Settings that statements of ours are planned or run with, and one of the application's own.
const SETTINGS: [(&str, &str); 10] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_sort", "off"),
    ("plan_cache_mode", "force_custom_plan"),
    ("statement_timeout", "1min"),
    ("lock_timeout", "42s"),
    ("synchronous_commit", "local"),
    ("app.tenant", "7"),
];

/// The ways to set one.
const HOW: [fn(&str, &str) -> String; 4] = [
    |name, value| format!("SET {name} = '{value}'"),
    |name, value| format!("SET LOCAL {name} = '{value}'"),
    |name, value| format!("SELECT set_config('{name}', '{value}', true)"),
    |name, value| format!("DO $$ BEGIN PERFORM set_config('{name}', '{value}', false); END $$"),
];

/// What a session is tried with.
struct Trial {
    place: Place,
    /// Keyed and tracked messages that were taken by hand.
    held: Mutex<Vec<Delivery<i32>>>,
}

impl Trial {
    fn new(place: Place) -> Trial {
        let bounded = TopicConfig {
            max_length: Some(100_000),
            ..TopicConfig::default()
        };
        place.messaging.topic("bounded").configure(bounded).unwrap();
        for n in 0..100 {
            let message = NewMessage::json("held", &n).unwrap();
            place.send_new(message.key(format!("k{n}")).tracked());
        }
        let held = place.messaging.topic("held").receive_batch(100, MINUTE);
        let held = Mutex::new(held.unwrap());
        Trial { place, held }
    }

    /// Uses each verb of a session that has set something, and looks at the settings each time.
    /// Large messages take their time, and go with one of the ways to set something.
    fn check(
        &self,
        session: &mut MessagingSession<'_>,
        (turn, how): (usize, fn(&str, &str) -> String),
    ) -> Result<(), HandlerError> {
        for (name, value) in SETTINGS {
            session.batch_execute(&how(name, value))?;
        }
        let message = |topic| NewMessage::bytes(topic, [1]);
        let keyed = || message("keyed").key("k");
        let dedupe = || message("deduped").dedupe(fastrand::u64(..).to_string(), DAY);
        look(session, "nothing")?;
        let delivery = self.held.lock().unwrap().pop().expect("there are more");
        session.settle(&delivery)?;
        look(session, "settle")?;
        session.send(dedupe())?;
        look(session, "a dedupe key")?;
        session.send_all([dedupe(), dedupe()])?;
        look(session, "dedupe keys")?;
        session.forget_dedupe_key("deduped", "k")?;
        look(session, "forget_dedupe_key")?;
        session.send(message("bounded"))?;
        look(session, "a bounded topic")?;
        session.send_all((0..2).map(|_| keyed()))?;
        if turn == 0 {
            // So much is stored at once.
            session.send_all((0..5).map(|_| NewMessage::bytes("plain", vec![1; 1 << 20])))?;
            look(session, "large messages")?;
        }
        let first = session.send(message("first").tracked())?.id();
        session.send_group([message("member")], message("completion"))?;
        session.send(message("second").after(&[first, delivery.id]))?;
        look(session, "what comes after others")?;
        Ok(())
    }
}

/// Compares the settings with what they were set to.
fn look(session: &mut MessagingSession<'_>, after: &str) -> Result<(), HandlerError> {
    for (name, value) in SETTINGS {
        let is: String = session.query_one(&format!("SHOW {name}"), &[])?.get(0);
        if is != value {
            let text = format!("after {after}: {name} is {is}, not {value}");
            return Err(HandlerError::reject(text));
        }
    }
    Ok(())
}

fn check_sessions(trial: &Trial, messaging: &Messaging) {
    for how in HOW.into_iter().enumerate() {
        let kept = messaging.session(|session| trial.check(session, how));
        assert!(kept.is_ok(), "{kept:?}");
        // One that began with the flight of a dedupe key.
        let kept = messaging.session(|session| {
            session.send(NewMessage::bytes("deduped", [1]).dedupe("first", DAY))?;
            trial.check(session, how)
        });
        assert!(kept.is_ok(), "{kept:?}");
    }
}

#[test]
fn a_session_finds_its_settings_as_it_set_them_after_each_verb() {
    let trial = Trial::new(Place::new());

    check_sessions(&trial, &trial.place.messaging);
}

#[test]
fn so_does_a_session_through_a_socket_file_or_behind_a_pooler() {
    let trial = Trial::new(Place::new());
    let through_file = by_socket(&trial.place.url);
    for builder in [
        Messaging::builder().url(&through_file),
        Messaging::builder().url(&trial.place.url).pooler_safe(true),
    ] {
        check_sessions(&trial, &builder.connect().unwrap());
    }
}

#[test]
fn so_does_a_handler_however_it_gets_its_messages() {
    let trial = Trial::new(Place::new());
    let place = &trial.place;
    for how in HOW.into_iter().enumerate() {
        let handle =
            |session: &mut MessagingSession<'_>, _: Message<i32>| trial.check(session, how);
        place.send_all("jobs", 0..3);
        place.messaging.drain("jobs", handle).unwrap();
        place.send_all("jobs", 0..3);
        let leased = place.messaging.receiver("jobs").lease(MINUTE);
        leased.drain(handle).unwrap();
        let letters = place.dead_letters("jobs");
        assert!(letters.is_empty(), "{letters:?}");
    }
}

#[test]
fn so_does_a_caller_whose_transaction_was_joined() {
    let trial = Trial::new(Place::new());
    let mut client = client(&trial.place.url);
    for how in HOW.into_iter().enumerate() {
        let mut transaction = client.transaction().unwrap();
        let joined = MessagingSession::join(&trial.place.messaging, &mut transaction);
        trial.check(&mut joined.unwrap(), how).unwrap();
        transaction.commit().unwrap();
    }
}
