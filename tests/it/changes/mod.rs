//! What operators change is in the list of changes, with who they were; what is not done in the
//! name of one is not.

use crate::support::{HOUR, Place, database, reject};
use outtray::{
    Change, Edit, ErrorKind, Filter, Messaging, NewMessage, Operator, Position, Recurrence, Search,
    TopicConfig, TopicKind,
};
use serde_json::json;

/// Returns what was done in the name of an operator, the latest first, each with its topic.
fn done(messaging: &Messaging) -> Vec<(String, String)> {
    let changes = messaging.changes(100).unwrap();
    assert!(changes.iter().all(|change| change.operator == "ada"));
    let each = changes.into_iter();
    each.map(|change| (change.what, change.topic.unwrap_or_default()))
        .collect()
}

/// Returns the one change that is there, and forgets it.
#[track_caller]
fn only(place: &mut Place) -> Change {
    let mut changes = place.messaging.changes(10).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    place.sql("DELETE FROM outtray.change");
    changes.remove(0)
}

fn ada(place: &Place) -> Messaging {
    let operator = Operator::new("ada").address("10.0.0.7");
    place.messaging.as_operator(operator)
}

#[test]
fn what_a_program_does_in_nobodys_name_is_not_noted() {
    let place = Place::new();
    let jobs = place.messaging.topic("jobs");
    jobs.configure(TopicConfig::default()).unwrap();
    jobs.pause().unwrap();
    jobs.resume().unwrap();
    place.messaging.subscribe("a.*", "jobs").unwrap();
    let id = place.send("jobs", &1);
    place.messaging.cancel(id).unwrap();

    assert_eq!(place.messaging.changes(10).unwrap(), []);
}

#[test]
fn settings_and_pauses_are_noted_with_who_when_and_from_where() {
    let mut place = Place::new();
    let ada = ada(&place);
    let jobs = ada.topic("jobs");

    jobs.reconfigure(|config| config.max_attempts = Some(3))
        .unwrap();
    let configured = only(&mut place);
    jobs.pause().unwrap();
    let paused = only(&mut place);
    jobs.resume().unwrap();
    let resumed = only(&mut place);
    jobs.reset_rate().unwrap();
    let reset = only(&mut place);

    assert_eq!(configured.operator, "ada");
    assert_eq!(configured.address.as_deref(), Some("10.0.0.7"));
    assert_eq!(configured.topic.as_deref(), Some("jobs"));
    assert_eq!(
        configured.details,
        json!({"max_attempts": {"from": null, "to": 3}})
    );
    let words = [configured, paused, resumed, reset].map(|change| change.what);
    assert_eq!(words, ["configured", "paused", "resumed", "rate reset"]);
}

#[test]
fn a_change_that_fails_or_changes_nothing_is_not_noted() {
    let place = Place::new();
    let ada = ada(&place);
    let jobs = ada.topic("jobs");

    let refused = jobs.reconfigure(|config| config.max_attempts = Some(0));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(jobs.redrive(..).unwrap(), 0);
    assert_eq!(jobs.purge().unwrap(), 0);
    assert!(!jobs.unrepeat("nightly").unwrap());
    assert!(!ada.unsubscribe("a.*", "jobs").unwrap());
    assert!(!jobs.forget_dedupe_key("k").unwrap());
    assert_eq!(jobs.run_now(&[place.send("jobs", &1)]).unwrap(), 0);

    assert_eq!(done(&ada), []);
}

#[test]
fn what_is_done_to_messages_is_noted_with_their_number_and_their_ids() {
    let mut place = Place::new();
    let ada = ada(&place);
    let jobs = ada.topic("jobs");
    place.send_all("jobs", 0..3);
    place.messaging.drain("jobs", reject).unwrap();
    let dead = place.dead_letters("jobs");

    jobs.redrive(dead[0].id).unwrap();
    let redriven = only(&mut place);
    jobs.redrive_matching(&Search::new().error("no"), |_| ())
        .unwrap();
    let matching = only(&mut place);
    jobs.purge().unwrap();
    let purged = only(&mut place);
    let delayed = NewMessage::json("jobs", &1).unwrap().delay(HOUR);
    let delayed = place.send_new(delayed);
    jobs.run_now(&[delayed]).unwrap();
    let run = only(&mut place);
    ada.cancel(delayed).unwrap();
    let cancelled = only(&mut place);

    assert_eq!(
        (&redriven.what[..], redriven.messages),
        ("redriven", Some(1))
    );
    assert_eq!(redriven.ids, [dead[0].id]);
    assert_eq!(
        (&matching.what[..], matching.messages),
        ("redriven", Some(2))
    );
    assert_eq!(matching.details, json!({"error": "no"}));
    assert_eq!((&purged.what[..], purged.messages), ("purged", Some(3)));
    assert_eq!((&run.what[..], &run.ids[..]), ("run now", &[delayed][..]));
    assert_eq!(
        (&cancelled.what[..], &cancelled.ids[..]),
        ("cancelled", &[delayed][..])
    );
    assert_eq!(cancelled.topic.as_deref(), Some("jobs"));
}

#[test]
fn a_change_in_many_slices_is_one_line_whose_number_grows() {
    let mut place = Place::new();
    place.send_all("jobs", 0..2_500);

    ada(&place).topic("jobs").purge().unwrap();

    assert_eq!(only(&mut place).messages, Some(2_500));
}

#[test]
fn an_edit_is_noted_without_a_word_of_the_payload() {
    let mut place = Place::new();
    place.send("jobs", &"secret-7");
    place.messaging.drain("jobs", reject).unwrap();
    let id = place.dead_letters("jobs")[0].id;
    let edit = Edit::new()
        .json(&"secret-8")
        .unwrap()
        .header("mended", "yes");

    assert!(ada(&place).topic("jobs").redrive_edited(id, &edit).unwrap());

    let edited = only(&mut place);
    assert_eq!((&edited.what[..], &edited.ids[..]), ("edited", &[id][..]));
    let details = edited.details.to_string();
    assert!(!details.contains("secret"), "{details}");
    assert_eq!(edited.details["old_payload_bytes"], 10);
    // sha256sum of "secret-7" with its quotes.
    let hash = edited.details["old_payload_sha256"].as_str().unwrap();
    assert_eq!(hash.len(), 64);
    assert_eq!(edited.details["headers"], json!(["mended"]));
}

#[test]
fn subscriptions_recurring_messages_dedupe_keys_and_readers_are_noted() {
    let place = Place::new();
    let ada = ada(&place);
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    let reader = place.messaging.reader("ledger", "one");
    let reader = reader.start(|_, _: &[outtray::Message]| Ok(())).unwrap();
    reader.stop(crate::support::PATIENCE);
    let large: Filter = "size >= 10".parse().unwrap();
    let hourly = Recurrence::cron("@hourly").unwrap();
    let message = || NewMessage::json("jobs", &1).unwrap();
    place.send_new(message().dedupe("once", HOUR));
    let jobs = ada.topic("jobs");

    ada.subscribe_matching("a.*", "jobs", &large).unwrap();
    // Nothing new.
    ada.subscribe_matching("a.*", "jobs", &large).unwrap();
    ada.unsubscribe("a.*", "jobs").unwrap();
    ada.repeat("pulse", &hourly, message()).unwrap();
    jobs.run_recurring_now("pulse").unwrap().unwrap();
    jobs.unrepeat("pulse").unwrap();
    jobs.set_dedupe_window("once", 2 * HOUR).unwrap();
    jobs.forget_dedupe_key("once").unwrap();
    ada.topic("ledger").seek("one", Position::Start).unwrap();
    ada.topic("ledger").remove_reader("one").unwrap();

    let mut done = done(&ada);
    done.reverse();
    let expected = [
        ("subscribed", "jobs"),
        ("unsubscribed", "jobs"),
        ("recurring set", "jobs"),
        ("run now", "jobs"),
        ("recurring removed", "jobs"),
        ("dedupe key kept", "jobs"),
        ("dedupe key forgotten", "jobs"),
        ("reader moved", "ledger"),
        ("reader removed", "ledger"),
    ];
    assert_eq!(
        done,
        expected.map(|(what, topic)| (what.to_owned(), topic.to_owned()))
    );
    let of_ledger = place.messaging.topic("ledger").changes(10).unwrap();
    assert_eq!(of_ledger.len(), 2);
    assert_eq!(of_ledger[1].details["reader"], "one");
    let first = place
        .messaging
        .topic("jobs")
        .changes(100)
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(
        first.details,
        json!({"pattern": "a.*", "filter": "size >= 10"})
    );
}

#[test]
fn changes_are_kept_for_ninety_days() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.change (topic, id, at, operator, what)
        SELECT 'jobs', gen_random_uuid(), now() - n * interval '1 day', 'bob', 'paused'
        FROM (VALUES (89), (91), (200)) AS days (n)",
    );

    ada(&place).topic("jobs").pause().unwrap();

    let changes = place.messaging.changes(100).unwrap();
    let who: Vec<&str> = changes.iter().map(|change| &change.operator[..]).collect();
    assert_eq!(who, ["ada", "bob"]);
}

#[test]
fn an_operator_may_be_named_when_connecting_and_another_one_later() {
    let url = database();
    let builder = Messaging::builder().url(&url);
    let root = builder.operator(Operator::new("root")).connect().unwrap();

    root.topic("jobs").pause().unwrap();
    let bob = root.as_operator(Operator::new("bob\u{1b}[31m"));
    bob.topic("jobs").resume().unwrap();

    let changes = root.changes(10).unwrap();
    let who: Vec<&str> = changes.iter().map(|change| &change.operator[..]).collect();
    assert_eq!(who, ["bob\\u{1b}[31m", "root"]);
}

#[test]
fn what_a_hand_wrote_into_the_list_is_shown_as_far_as_it_can_be() {
    let mut place = Place::new();
    place.sql(
        "INSERT INTO outtray.change (topic, id, at, operator, what, messages, ids, details)
        VALUES ('', gen_random_uuid(), 'infinity', '', 'sung', -1, '{NULL}', '1e400')",
    );

    let change = only(&mut place);

    assert_eq!(
        (change.topic, &change.what[..], change.ids.len()),
        (None, "sung", 0)
    );
}

#[test]
fn a_list_goes_on_after_any_change_of_it() {
    let mut place = Place::new();
    // Several were made at the same moment.
    place.sql(
        "INSERT INTO outtray.change (topic, id, at, operator, what, messages)
        SELECT CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END, gen_random_uuid(),
            now() - (n / 10) * interval '1 hour', 'bob', 'paused', n
        FROM generate_series(1, 45) AS n",
    );
    let messaging = &place.messaging;
    let even = messaging.topic("even");
    let number = |change: &Change| change.messages.unwrap();

    let (mut all, mut of_even) = (messaging.changes(7).unwrap(), even.changes(7).unwrap());
    loop {
        // As it goes through a link.
        let cursor = all.last().unwrap().cursor.to_string().parse().unwrap();
        let next = messaging.changes_after(&cursor, 7).unwrap();
        if next.is_empty() {
            break;
        }
        all.extend(next);
    }
    while let Some(next) = of_even
        .last()
        .map(|last| even.changes_after(&last.cursor, 7))
    {
        match next.unwrap() {
            next if next.is_empty() => break,
            next => of_even.extend(next),
        }
    }

    assert_eq!(all, messaging.changes(100).unwrap());
    assert_eq!(of_even, even.changes(100).unwrap());
    let mut numbers: Vec<u64> = all.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=45).collect::<Vec<_>>());
    assert!(of_even.iter().all(|change| number(change) % 2 == 0));
}
