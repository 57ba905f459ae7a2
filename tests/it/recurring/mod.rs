//! Recurring messages are sent when they are due, each run once, whoever is there.

use crate::support::{
    Child, Ledger, NO_POLLING, PATIENCE, Place, WORK, eventually, next, process, test_name,
};
use crossbeam_channel::unbounded;
use outtray::{ErrorKind, Message, Missed, NewMessage, Recurrence, Result, TopicConfig};
use std::time::{Duration, SystemTime};

fn cron(expression: &str) -> Recurrence {
    Recurrence::cron(expression).unwrap()
}

fn report() -> NewMessage {
    NewMessage::json("reports", "sales").unwrap()
}

#[test]
fn a_recurring_message_is_sent_when_it_is_due_with_all_that_it_has() {
    let mut place = Place::polling(NO_POLLING);
    let elsewhere = process(&place.url, NO_POLLING);
    let (tell, told) = unbounded();
    let lateness = "SELECT extract(epoch FROM clock_timestamp() - $1::text::timestamptz)::float8";
    let _receiver = elsewhere
        .start_receiving_messages("reports", move |session, message: Message<String>| {
            let due = &message.headers["outtray-scheduled-for"];
            let late_s: f64 = session.query_one(lateness, &[due])?.get(0);
            Ok(tell.send((message, late_s))?)
        })
        .unwrap();
    place.await_listener();

    let message = report()
        .priority(3)
        .key("k")
        .header("from", "test")
        .expires_in(PATIENCE);
    let next_at = place
        .messaging
        .repeat("pulse", &cron("* * * * * *"), message)
        .unwrap();

    let sent = next(&told, 3);
    for (message, _) in &sent {
        assert_eq!(message.payload, "sales");
        assert_eq!((message.priority, message.key.as_deref()), (3, Some("k")));
        assert_eq!(message.headers["from"], "test");
        assert_eq!(message.headers.len(), 2, "nothing is its cause");
    }
    assert!(sent.iter().all(|(_, late_s)| *late_s >= 0.0));
    // The machine may be busy: one of three has to be in time.
    assert!(sent.iter().any(|(_, late_s)| *late_s < 0.2), "{sent:?}");
    let first = &sent[0].0.headers["outtray-scheduled-for"];
    assert_eq!(
        place.number(&format!("SELECT extract(epoch FROM timestamptz '{first}')")),
        next_at
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
    );
}

#[test]
fn two_processes_send_each_run_once() {
    let mut place = Place::watchful();
    place.sql("CREATE TABLE effect (run text)");
    let other = process(&place.url, Duration::from_millis(50));
    let receivers = [&place.messaging, &other].map(|messaging| {
        messaging
            .start_receiving_messages("reports", |session, message: Message<String>| {
                let run = &message.headers["outtray-scheduled-for"];
                session.execute("INSERT INTO effect VALUES ($1)", &[run])?;
                Ok(())
            })
            .unwrap()
    });

    for number in 0..20 {
        let name = format!("number {number}");
        let every = cron("@daily").missed(Missed::All);
        place.messaging.repeat(&name, &every, report()).unwrap();
    }
    place.make_recurring_due("9 days");
    eventually("all are sent", || place.count("effect") >= 200);
    eventually("all are handled", || place.is_empty("reports"));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    assert_eq!(place.count("effect"), 200);
    assert_eq!(place.number("SELECT count(DISTINCT run) FROM effect"), 10.0);
    assert_eq!(place.count("outtray.recurring WHERE next_at > now()"), 20);
}

#[test]
fn runs_that_nobody_was_there_for_are_left_out_stood_for_or_made_up_for() {
    for (missed, expected) in [(Missed::Skip, 0), (Missed::Once, 1), (Missed::All, 4)] {
        let mut place = Place::watchful();
        let hourly = cron("@hourly").missed(missed);
        place.messaging.repeat("it", &hourly, report()).unwrap();
        // Four runs, of which the last was two minutes ago and the next is far away.
        place.sql(
            "UPDATE outtray.recurring
                 SET cron = extract(minute FROM now() AT TIME ZONE 'UTC' - interval '2 minutes') || ' * * * *',
                     next_at = date_trunc('minute', now()) - interval '3 hours 2 minutes'",
        );
        let _receiver = place.idle_receiver();

        eventually("they are seen", || {
            place.count("outtray.recurring WHERE next_at > now()") == 1
        });

        let ready = place.messaging.topic("reports").stats().unwrap().ready;
        assert_eq!(ready, expected, "{missed:?}");
    }
}

#[test]
fn a_process_that_is_killed_sends_each_run_once_or_leaves_it_to_others() {
    if Child::role().is_some() {
        let messaging = Ledger::messaging_of_parent();
        let _receiver = messaging
            .start_receiving_messages("others", |_, _: Message<String>| Ok(()))
            .unwrap();
        Child::tell("receiving");
        Child::await_parent();
        return;
    }
    let ledger = Ledger::open();
    let messaging = ledger.messaging();
    let test = test_name!(a_process_that_is_killed_sends_each_run_once_or_leaves_it_to_others);
    let every = cron("* * * * * *").missed(Missed::All);
    let message = NewMessage::json(WORK, "pulse").unwrap();
    messaging.repeat("pulse", &every, message).unwrap();
    ledger.execute("UPDATE outtray.recurring SET next_at = date_trunc('second', now()) - interval '900 seconds'");
    let runs = "SELECT count(*) FROM outtray.message WHERE topic = 'work'";

    for _ in 0..4 {
        let mut child = ledger.child(test, "sender");
        assert_eq!(child.listen(), "receiving");
        let before = ledger.number(runs, &[]);
        eventually("it sends", || ledger.number(runs, &[]) > before);
        child.kill();
    }

    let distinct =
        "SELECT count(DISTINCT headers ->> 'outtray-scheduled-for') FROM outtray.message";
    let span = "SELECT (extract(epoch FROM max(run) - min(run)) + 1)::bigint
        FROM (SELECT (headers ->> 'outtray-scheduled-for')::timestamptz AS run FROM outtray.message) AS runs";
    let sent = ledger.number(runs, &[]);
    assert!(sent > 900, "{sent}");
    assert_eq!(ledger.number(distinct, &[]), sent, "none twice");
    assert_eq!(ledger.number(span, &[]), sent, "none left out");
}

#[test]
fn doing_it_again_changes_nothing_and_another_recurrence_changes_the_next_time() {
    let mut place = Place::new();
    let daily = cron("0 3 * * *").time_zone("Europe/Berlin").unwrap();
    let first = place.messaging.repeat("it", &daily, report()).unwrap();
    place.sql("UPDATE outtray.recurring SET next_at = next_at - interval '2 days'");

    let changed = NewMessage::json("reports", "costs").unwrap().priority(7);
    let again = place.messaging.repeat("it", &daily, changed).unwrap();
    let listed = place.messaging.recurring().unwrap();
    let other_zone = cron("0 3 * * *");
    let moved = place.messaging.repeat("it", &other_zone, report()).unwrap();

    assert_eq!(again + Duration::from_secs(2 * 86_400), first);
    assert_eq!(listed.len(), 1);
    let it = &listed[0];
    assert_eq!((it.topic.as_str(), it.name.as_str()), ("reports", "it"));
    assert_eq!(
        (it.cron.as_str(), it.time_zone.as_str()),
        ("0 3 * * *", "Europe/Berlin")
    );
    assert_eq!(
        (it.priority, it.payload.to_string()),
        (7, "\"costs\"".to_owned())
    );
    assert_eq!(
        (it.next_at, it.last_at, it.missed),
        (again, None, Missed::Once)
    );
    assert!(moved > again);
    let topic = place.messaging.topic("reports");
    assert_eq!(topic.recurring().unwrap()[0].time_zone, "UTC");
    assert!(topic.unrepeat("it").unwrap());
    assert!(!topic.unrepeat("it").unwrap());
    assert!(topic.recurring().unwrap().is_empty());
}

#[test]
fn one_that_cannot_be_sent_does_not_hold_up_the_others() {
    let mut place = Place::watchful();
    place
        .messaging
        .repeat("good", &cron("@daily"), report())
        .unwrap();
    place
        .messaging
        .repeat("bad", &cron("@daily"), report())
        .unwrap();
    place.sql("UPDATE outtray.recurring SET time_zone = 'Mars/Olympus' WHERE name = 'bad'");
    place.make_recurring_due("1 day");
    place.sql(
        "UPDATE outtray.recurring SET next_at = next_at - interval '1 hour' WHERE name = 'bad'",
    );
    let _receiver = place.idle_receiver();

    eventually("the good one is sent", || {
        place.messaging.topic("reports").stats().unwrap().ready == 1
    });
    assert_eq!(
        place.count("outtray.recurring WHERE next_at > now() AND name = 'good'"),
        1
    );
}

#[test]
fn what_cannot_be_repeated_is_refused() {
    let place = Place::new();
    let check = |found: Result<SystemTime>, part: &str| {
        let error = found.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(part), "{error}");
    };
    let repeat = |name: &str, message| place.messaging.repeat(name, &cron("@daily"), message);
    let long = "x".repeat(129);

    check(repeat("", report()), "1 to 128 bytes");
    check(repeat(&long, report()), "1 to 128 bytes");
    check(repeat("a\nb", report()), "no control characters");
    check(repeat("it", report().delay(PATIENCE)), "a delay or a time");
    check(repeat("it", report().dedupe("d", PATIENCE)), "a dedupe key");
    check(repeat("it", report().tracked()), "tracking");
    check(
        repeat("it", report().wait_for_room(PATIENCE)),
        "a wait for room",
    );
    check(
        repeat("it", report().header("outtray-scheduled-for", "x")),
        "that header",
    );
    check(
        repeat("it", NewMessage::bytes("bad topic", [1])),
        "bad topic",
    );
    check(repeat("it", report().priority(i16::MIN)), "priority");
    let never = place.messaging.repeat("it", &cron("0 0 30 2 *"), report());
    check(never, "never comes");
    assert!(place.messaging.recurring().unwrap().is_empty());
}

#[test]
fn one_that_cannot_be_read_does_not_hold_up_the_others() {
    let mut place = Place::watchful();
    for name in ["good", "odd"] {
        place
            .messaging
            .repeat(name, &cron("@daily"), report())
            .unwrap();
    }
    place.make_recurring_due("1 day");
    place.sql(
        "UPDATE outtray.recurring SET missed = 'latest', next_at = next_at - interval '1 hour' WHERE name = 'odd'",
    );
    let _receiver = place.idle_receiver();

    eventually("the good one is sent", || {
        place.messaging.topic("reports").stats().unwrap().ready == 1
    });
    // It is left as it is for those who can read it.
    assert_eq!(
        place.count("outtray.recurring WHERE next_at < now() AND name = 'odd'"),
        1
    );
    let listed = place.messaging.recurring().unwrap();
    let [good, odd] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!(good.unreadable, None);
    let why = odd.unreadable.as_ref().unwrap();
    assert!(why.contains("odd of topic reports"), "{why}");
}

#[test]
fn missed_runs_fill_a_bounded_topic_as_far_as_they_fit_and_go_on_when_there_is_room() {
    let mut place = Place::watchful();
    let bounded = TopicConfig {
        max_length: Some(3),
        ..TopicConfig::default()
    };
    place.messaging.topic("reports").configure(bounded).unwrap();
    let every = cron("@daily").missed(Missed::All);
    place.messaging.repeat("it", &every, report()).unwrap();
    place.make_recurring_due("7 days");
    let _receiver = place.idle_receiver();
    let ready = || place.messaging.topic("reports").stats().unwrap().ready;

    eventually("the first are sent", || ready() == 3);
    let (tell, told) = unbounded();
    let _reports = place
        .messaging
        .receiver("reports")
        .workers(1)
        .start(move |_, message: Message<String>| {
            Ok(tell.send(message.headers["outtray-scheduled-for"].clone())?)
        })
        .unwrap();

    // Eight with today's, each once, in order.
    let runs = next(&told, 8);
    assert!(runs.is_sorted_by(|one, two| one < two), "{runs:?}");
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    assert_eq!(place.count("outtray.recurring WHERE next_at > now()"), 1);
}

#[test]
fn a_paused_one_is_sent_by_nobody_until_it_is_resumed_and_makes_up_for_nothing() {
    let mut place = Place::watchful();
    let hourly = cron("@hourly").missed(Missed::All);
    for name in ["paused", "other"] {
        place.messaging.repeat(name, &hourly, report()).unwrap();
    }
    let reports = place.messaging.topic("reports");
    let paused = |name: &str| {
        let all = place.messaging.recurring().unwrap();
        all.into_iter().find(|one| one.name == name).unwrap()
    };
    assert!(reports.pause_recurring("paused").unwrap());
    assert!(reports.pause_recurring("paused").unwrap(), "twice is once");
    // As at the next start of the application.
    place.messaging.repeat("paused", &hourly, report()).unwrap();
    assert!(paused("paused").is_paused && !paused("other").is_paused);

    let _receiver = place.idle_receiver();
    drop(reports);
    place.make_recurring_due("3 hours");
    eventually("the other is sent", || {
        let ready = place.messaging.topic("reports").stats().unwrap().ready;
        ready >= 3 && place.count("outtray.recurring WHERE next_at > now()") == 1
    });
    let sent_now = place.messaging.topic("reports").run_recurring_now("paused");
    assert!(sent_now.unwrap().is_some());
    let before = place.count("outtray.message");
    let reports = place.messaging.topic("reports");
    assert!(reports.resume_recurring("paused").unwrap());
    assert!(!reports.resume_recurring("paused").unwrap());
    assert!(!reports.resume_recurring("nowhere").unwrap());
    assert!(!reports.pause_recurring("nowhere").unwrap());
    let all = place.messaging.recurring().unwrap();
    let resumed = all.iter().find(|one| one.name == "paused").unwrap();
    assert!(!resumed.is_paused);
    drop(reports);
    assert_eq!(place.count("outtray.recurring WHERE next_at > now()"), 2);
    assert_eq!(place.count("outtray.message"), before);

    place.make_recurring_due("1 hour");
    eventually("it is sent again", || {
        place.count("outtray.recurring WHERE name = 'paused' AND last_at IS NOT NULL") == 1
    });
}
