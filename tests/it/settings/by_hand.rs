//! Settings that a hand or a later release wrote: what cannot be read counts as not set, for every
//! process and every statement, and stays where it is.

use crate::support::{HOUR, Place, client, eventually, next, process};
use crossbeam_channel::unbounded;
use outtray::{
    ErrorKind, HandlerError, Message, MessagingSession, NewMessage, PoisonedKey, TopicConfig,
};

/// Values of settings that statements read, each with what it means.
const NUMBERS: &[(&str, Option<u32>)] = &[
    ("3", Some(3)),
    ("1", Some(1)),
    ("10000", Some(10_000)),
    ("10001", None),
    ("0", None),
    ("-1", None),
    ("-0", None),
    ("1.5", None),
    ("2.0", None),
    ("1e1", None),
    ("1e400", None),
    ("99999999999999999999", None),
    ("\"2\"", None),
    ("\"auto\"", None),
    ("\"\"", None),
    ("null", None),
    ("true", None),
    ("[2]", None),
    ("{\"most\": 2}", None),
];

const WORDS: &[(&str, Option<PoisonedKey>)] = &[
    ("\"block\"", Some(PoisonedKey::Block)),
    ("\"\\u0062lock\"", Some(PoisonedKey::Block)),
    ("\"park\"", Some(PoisonedKey::Park)),
    ("\"skip\"", Some(PoisonedKey::Skip)),
    ("\"bury\"", None),
    ("\"BLOCK\"", None),
    ("\"\"", None),
    ("null", None),
    ("7", None),
    ("[\"block\"]", None),
];

fn write_message(place: &mut Place, topic: &str) {
    let write = "INSERT INTO outtray.message (topic, rank, id, payload) VALUES ($1, 0, gen_random_uuid(), '1')";
    place.client.execute(write, &[&topic]).unwrap();
}

/// Returns what statements read of a topic's settings.
fn columns(place: &mut Place, topic: &str) -> (Option<u32>, Option<u32>, Option<String>) {
    let read =
        "SELECT max_in_work::bigint, max_in_work_per_key::bigint, poisoned_key FROM outtray.topic
        WHERE topic = $1";
    let row = place.client.query_one(read, &[&topic]).unwrap();
    let number = |column| {
        row.get::<_, Option<i64>>(column)
            .map(|n| n.try_into().unwrap())
    };
    (number(0), number(1), row.get(2))
}

/// Sends three messages of one key in a session, and one more in another.
fn send_four(place: &Place, topic: &str) {
    let keyed = |number: i32| NewMessage::json(topic, &number).unwrap().key("k");
    place
        .messaging
        .session(|session| Ok(session.send_all((0..3).map(keyed))?))
        .unwrap();
    place.send_new(keyed(3));
}

#[test]
fn a_number_that_is_none_counts_as_not_set_for_processes_and_statements_alike() {
    let mut place = Place::new();
    for (index, (value, meant)) in NUMBERS.iter().enumerate() {
        let topic = format!("number-{index}");
        let document = format!(
            r#"{{"max_in_work": {value}, "later": [1e400], "max_in_work_per_key": {value}}}"#
        );
        place.write_config(&topic, &document);

        let config = place.messaging.topic(&topic).config().unwrap();
        let (max_in_work, per_key, _) = columns(&mut place, &topic);

        assert_eq!(config.max_in_work, *meant, "{value}");
        assert_eq!(config.max_in_work_per_key, *meant, "{value}");
        assert_eq!((max_in_work, per_key), (*meant, *meant), "{value}");
        send_four(&place, &topic);
        let mut drained = place.handled::<i32>(&topic);
        drained.sort_unstable();
        assert_eq!(drained, [0, 1, 2, 3], "{value}");
    }
}

#[test]
fn a_word_that_is_none_counts_as_not_set_for_processes_and_statements_alike() {
    let mut place = Place::new();
    for (index, (value, meant)) in WORDS.iter().enumerate() {
        let topic = format!("word-{index}");
        place.write_config(&topic, &format!(r#"{{"poisoned_key": {value}}}"#));

        let config = place.messaging.topic(&topic).config().unwrap();
        let (.., poisoned_key) = columns(&mut place, &topic);

        assert_eq!(config.poisoned_key, *meant, "{value}");
        let word = meant.map(|meant| serde_json::to_value(meant).unwrap());
        let word = word.and_then(|word| word.as_str().map(str::to_owned));
        assert_eq!(poisoned_key, word, "{value}");
        send_four(&place, &topic);
        assert_eq!(place.handled::<i32>(&topic), [0, 1, 2, 3], "{value}");
    }
}

#[test]
fn what_senders_by_sql_read_is_what_the_library_reads() {
    let mut place = Place::new();
    let most = [
        "315360000000",
        "315360000001",
        "9223372036854775807",
        "9223372036854775808",
    ];
    let words = ["\"log\"", "\"queue\"", "\"LOG\"", "\"\\u006cog\"", "7"];
    let values = NUMBERS
        .iter()
        .map(|(value, _)| *value)
        .chain(most)
        .chain(words);
    for (index, value) in values.enumerate() {
        let topic = format!("sql-{index}");
        let names = ["delay_ms", "expires_in_ms", "max_length", "kind"];
        let written = names.map(|name| format!("\"{name}\": {value}"));
        place.write_config(&topic, &format!("{{{}}}", written.join(", ")));

        let config = place.messaging.topic(&topic).config().unwrap();
        let read = "SELECT delay_ms, expires_in_ms, max_length, CASE WHEN is_log THEN 1 END::bigint
            FROM outtray.topic WHERE topic = $1";
        let row = place.client.query_one(read, &[&topic]).unwrap();

        let stored = serde_json::to_value(&config).unwrap();
        for (column, name) in names.iter().enumerate() {
            let meant = match &stored[name] {
                serde_json::Value::String(_) => Some(1),
                number => number.as_i64(),
            };
            assert_eq!(row.get::<_, Option<i64>>(column), meant, "{name} {value}");
        }
    }
}

#[test]
fn a_document_that_is_no_object_counts_as_no_settings() {
    let mut place = Place::new();
    for (index, document) in ["7", "null", "[1, 2]", "\"max_in_work\"", "{}"]
        .iter()
        .enumerate()
    {
        let topic = format!("document-{index}");
        place.write_config(&topic, document);

        let config = place.messaging.topic(&topic).config().unwrap();

        assert_eq!(config, TopicConfig::default(), "{document}");
        send_four(&place, &topic);
        assert_eq!(place.handled::<i32>(&topic), [0, 1, 2, 3], "{document}");
    }
}

#[test]
fn a_key_goes_on_after_a_dead_letter_where_nobody_can_read_what_is_to_become_of_it() {
    let mut place = Place::watchful();
    place.write_config(
        "jobs",
        r#"{"poisoned_key": "bury", "max_in_work_per_key": "auto"}"#,
    );
    send_four(&place, "jobs");

    let _receiver = place
        .messaging
        .start_receiving_messages("jobs", |_, message: Message<i32>| match message.payload {
            0 => Err(HandlerError::reject("no")),
            _ => Ok(()),
        })
        .unwrap();

    eventually("the others are handled", || place.is_empty("jobs"));
    assert_eq!(place.dead_letters("jobs").len(), 1);
}

#[test]
fn a_receiver_hears_of_what_a_hand_sets_and_unsets_by_its_next_poll() {
    let mut place = Place::watchful();
    let (tell, told) = unbounded();
    let _receiver = place
        .messaging
        .start_receiving_messages("jobs", move |_, message: Message<i32>| {
            Ok(tell.send(message.max_attempts)?)
        })
        .unwrap();

    for (document, limit) in [
        (r#"{"max_attempts": 3}"#, 3),
        (r#"{"max_attempts": 4}"#, 4),
        ("{}", 10),
    ] {
        place.write_config("jobs", document);
        // Not in a session, which reads settings for itself.
        eventually("the limit is obeyed", || {
            write_message(&mut place, "jobs");
            next(&told, 1) == [limit]
        });
    }
}

#[test]
fn what_a_release_does_not_know_stays_when_it_sets_something_else() {
    let mut place = Place::new();
    let messaging = place.messaging.clone();
    let topic = messaging.topic("jobs");
    let newer = r#"{"colour":{"of": 1.50},"max_attempts":5,"poisoned_key":"bury"}"#;
    place.write_config("jobs", newer);

    topic
        .reconfigure(|config| config.max_attempts = Some(7))
        .unwrap();
    assert_eq!(
        place.config_text("jobs").unwrap(),
        r#"{"colour":{"of": 1.50},"max_attempts":7,"poisoned_key":"bury"}"#
    );

    let config = TopicConfig {
        max_in_work: Some(3),
        poisoned_key: Some(PoisonedKey::Block),
        ..TopicConfig::default()
    };
    topic.configure(config).unwrap();
    assert_eq!(
        place.config_text("jobs").unwrap(),
        r#"{"colour":{"of": 1.50},"max_in_work":3,"poisoned_key":"block"}"#
    );
    assert_eq!(
        columns(&mut place, "jobs"),
        (Some(3), None, Some("block".into()))
    );

    topic.configure(TopicConfig::default()).unwrap();
    assert_eq!(
        place.config_text("jobs").unwrap(),
        r#"{"colour":{"of": 1.50}}"#
    );
}

#[test]
fn a_setting_that_could_not_be_read_is_replaced_when_it_is_set() {
    let mut place = Place::new();
    place.write_config("jobs", r#"{"max_in_work_per_key": 0}"#);
    let messaging = place.messaging.clone();
    let topic = messaging.topic("jobs");

    topic
        .reconfigure(|config| config.max_in_work_per_key = Some(2))
        .unwrap();
    topic
        .reconfigure(|config| config.max_in_work_per_key = None)
        .unwrap();

    assert_eq!(place.config_text("jobs"), None);
}

#[test]
fn nobody_sends_while_the_settings_were_never_read() {
    let mut place = Place::new();
    let bounded = TopicConfig {
        max_length: Some(2),
        ..TopicConfig::default()
    };
    place.messaging.topic("jobs").configure(bounded).unwrap();
    place.sql(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = 100',
            current_database()); END $$",
    );
    let newcomer = process(&place.url, HOUR);
    let mut other = client(&place.url);
    let mut lock = other.transaction().unwrap();
    lock.batch_execute("LOCK TABLE outtray.topic").unwrap();

    for number in 0..5 {
        let send = |session: &mut MessagingSession<'_>| Ok(session.send_message("jobs", &number)?);
        newcomer.session(send).expect_err("it knows no settings");
    }
    lock.rollback().unwrap();

    let fill = |session: &mut MessagingSession<'_>| Ok(session.send_messages("jobs", 0..3)?);
    let full = newcomer.session(fill).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full, "{full}");
}
