//! What is stuck in topics, and what nobody looks after.

use super::{Clinic, check_well, eventually_found, eventually_ok, found, is_ok, run_line};
use crate::support::{Gate, HOUR, MINUTE, PATIENCE, done, eventually, reject, send};
use outtray::{
    How, Message, Messaging, NewMessage, PoisonedKey, Position, Receiver, Severity, SlowReaders,
    TopicConfig, TopicKind,
};
use std::process::Command;
use std::time::Duration;

/// Makes it an hour ago that everything was sent.
const AN_HOUR_LATER: &str = "UPDATE outtray.message SET sent_at = sent_at - interval '1 hour'";

fn receive(messaging: &Messaging, topic: &str) -> Receiver {
    messaging.start_receiving_messages(topic, done).unwrap()
}

#[test]
fn messages_that_nobody_receives_are_found_until_somebody_does() {
    let mut clinic = Clinic::new();
    let messaging = clinic.messaging();
    send(&messaging, "jobs", &1);

    let new = found(&clinic.doctor().examine().unwrap(), "unreceived_topics");
    clinic.sql(AN_HOUR_LATER);
    let old = found(&clinic.doctor().examine().unwrap(), "unreceived_topics");

    assert_eq!(
        [new.severity, old.severity],
        [Severity::Note, Severity::Warning]
    );
    assert!(
        old.seen
            .starts_with("topic jobs has messages, the oldest sent 1 h"),
        "{old:?}"
    );
    assert!(
        old.remedies[0]
            .to_string()
            .contains("outtray work jobs -- COMMAND")
    );
    run_line("outtray work jobs --until-empty -- true", &clinic.url);
    check_well(&clinic.doctor().examine().unwrap());
}

#[test]
fn a_receiver_that_died_is_none() {
    let mut clinic = Clinic::new();
    let messaging = clinic.messaging();
    send(&messaging, "jobs", &1);
    clinic.sql(
        "INSERT INTO outtray.worker (topic, process, holds_lock) VALUES ('jobs', 'gone', true)",
    );
    assert!(!is_ok(
        &clinic.doctor().examine().unwrap(),
        "unreceived_topics"
    ));

    let gate = Gate::new();
    let _receiver = gate.holding(messaging.receiver("jobs"));

    eventually_ok(&clinic.doctor(), "unreceived_topics");
    gate.open_for(1);
}

#[test]
fn messages_that_receivers_do_not_come_to_are_found() {
    let mut clinic = Clinic::new();
    let messaging = clinic.messaging();
    send(&messaging, "jobs", &1);
    clinic.sql(AN_HOUR_LATER);
    let gate = Gate::new();
    let _receiver = gate.holding(messaging.receiver("jobs"));

    let finding = eventually_found(&clinic.doctor(), "oldest_ready");

    assert_eq!(finding.severity, Severity::Warning);
    clinic.carry_out(&finding);
    gate.open_for(1);
    eventually_ok(&clinic.doctor(), "oldest_ready");
}

#[test]
fn a_paused_topic_with_messages_is_found_and_resumed() {
    let mut clinic = Clinic::new();
    let messaging = clinic.messaging();
    let jobs = messaging.topic("it.is-mine");
    jobs.pause().unwrap();
    assert!(is_ok(&clinic.doctor().examine().unwrap(), "paused_topics"));
    send(&messaging, "it.is-mine", &1);

    let finding = found(&clinic.doctor().examine().unwrap(), "paused_topics");

    assert!(finding.seen.ends_with(", and 1 wait in it"), "{finding:?}");
    clinic.carry_out(&finding);
    assert!(is_ok(&clinic.doctor().examine().unwrap(), "paused_topics"));
    assert!(!jobs.stats().unwrap().is_paused);
}

#[test]
fn a_topic_in_which_a_process_died_is_suspect_until_its_messages_are_handled() {
    let clinic = Clinic::new();
    let messaging = clinic.messaging();
    send(&messaging, "jobs", &1);
    let mut worker = Command::new(super::OUTTRAY);
    let killed = worker
        .args(["work", "jobs", "--", "sh", "-c", "kill -KILL $PPID"])
        .env("DATABASE_URL", &clinic.url)
        .status()
        .unwrap();
    assert!(!killed.success());

    let _elsewhere = receive(&messaging, "elsewhere");
    let finding = eventually_found(&clinic.doctor(), "suspect_topics");

    assert!(
        finding.seen.starts_with("topic jobs is suspect"),
        "{finding:?}"
    );
    let _jobs = receive(&messaging, "jobs");
    eventually_ok(&clinic.doctor(), "suspect_topics");
}

#[test]
fn keys_that_wait_behind_dead_letters_are_found_and_let_go_on() {
    let mut clinic = Clinic::new();
    let messaging = clinic.messaging();
    let config = TopicConfig {
        poisoned_key: Some(PoisonedKey::Block),
        ..TopicConfig::default()
    };
    messaging.topic("jobs").configure(config).unwrap();
    for keys in [&["it's a"][..], &["b", "c"]] {
        for key in keys.iter().chain(keys) {
            let message = NewMessage::json("jobs", &1).unwrap().key(*key);
            messaging.send(message).unwrap();
        }
        messaging.drain("jobs", reject).unwrap();

        let finding = found(&clinic.doctor().examine().unwrap(), "stuck_keys");

        let count = format!("{} keys", keys.len()).replace("1 keys", "key it's a");
        assert!(finding.seen.starts_with(&count), "{finding:?}");
        clinic.carry_out(&finding);
        messaging.drain("jobs", done).unwrap();
        check_well(&clinic.doctor().examine().unwrap());
    }
}

#[test]
fn a_tracked_message_that_is_gone_without_an_end_is_found_and_ended() {
    let mut clinic = Clinic::new();
    let messaging = clinic.messaging();
    let tracked = |topic| NewMessage::json(topic, &1).unwrap().tracked();
    let id = messaging.send(tracked("jobs")).unwrap().id();
    messaging.send(tracked("kept").key("k")).unwrap();
    messaging.send(tracked("kept").key("k")).unwrap();
    messaging.send(tracked("kept").delay(HOUR)).unwrap();
    messaging.send(tracked("dead")).unwrap();
    messaging.drain("dead", reject).unwrap();
    clinic.sql("DELETE FROM outtray.message WHERE topic = 'jobs'");

    let finding = found(&clinic.doctor().examine().unwrap(), "outcomes");

    assert!(finding.seen.contains(&id.to_string()), "{finding:?}");
    clinic.carry_out(&finding);
    assert!(is_ok(&clinic.doctor().examine().unwrap(), "outcomes"));
    let end = messaging.completion(id).unwrap().unwrap();
    assert_eq!(end.how, How::Purged);
}

#[test]
fn a_cancelled_message_whose_handler_does_not_care_is_found() {
    let clinic = Clinic::new();
    let messaging = clinic.messaging();
    let id = send(&messaging, "jobs", &1);
    let gate = Gate::new();
    let _receiver = gate.holding(messaging.receiver("jobs"));
    gate.await_arrivals(1);
    messaging.cancel(id).unwrap();
    let impatient = clinic.doctor().patience(Duration::ZERO);

    let finding = found(&impatient.examine().unwrap(), "cancellations");

    assert!(
        finding
            .seen
            .starts_with("1 cancelled messages of topic jobs"),
        "{finding:?}"
    );
    assert!(is_ok(&clinic.doctor().examine().unwrap(), "cancellations"));
    gate.open_for(1);
    let _upkeep = receive(&messaging, "jobs");
    eventually_ok(&impatient, "cancellations");
}

#[test]
fn messages_that_nobody_makes_ready_are_found_and_made_ready() {
    let mut clinic = Clinic::new();
    let messaging = clinic.messaging();
    let later = NewMessage::json("jobs", &1).unwrap().delay(HOUR);
    messaging.send(later).unwrap();
    assert!(is_ok(&clinic.doctor().examine().unwrap(), "upkeep"));
    clinic.sql("UPDATE outtray.scheduled SET due_at = now() - interval '10 minutes'");

    let finding = found(&clinic.doctor().examine().unwrap(), "upkeep");

    assert!(finding.seen.contains("due for 10 min"), "{finding:?}");
    assert_eq!(clinic.carry_out(&finding).len(), 1);
    assert!(is_ok(&clinic.doctor().examine().unwrap(), "upkeep"));
    assert_eq!(messaging.topic("jobs").stats().unwrap().ready, 1);
}

/// Makes a log that keeps an hour, with a reader that was there once and has read all.
fn ledger(messaging: &Messaging, slow_readers: SlowReaders) {
    let config = TopicConfig {
        kind: TopicKind::Log,
        keep_for: Some(HOUR),
        slow_readers,
        ..TopicConfig::default()
    };
    messaging.topic("ledger").configure(config).unwrap();
    let reader = messaging.reader("ledger", "billing").from(Position::Start);
    let reader = reader.start(|_, _: &[Message<i32>]| Ok(())).unwrap();
    reader.stop(PATIENCE);
}

#[test]
fn a_reader_that_is_about_to_miss_what_it_has_not_read_is_found() {
    for (slow_readers, severity) in [
        (SlowReaders::Lose, Severity::Unsafe),
        (SlowReaders::Hold, Severity::Warning),
    ] {
        let mut clinic = Clinic::new();
        let messaging = clinic.messaging();
        ledger(&messaging, slow_readers);
        send(&messaging, "ledger", &1);
        // Somebody else reads.
        drop(messaging.tail("ledger", Position::Now).unwrap());
        assert!(is_ok(&clinic.doctor().examine().unwrap(), "log_readers"));
        clinic.sql("UPDATE outtray.log_tick SET at = at - interval '50 minutes'");

        let finding = found(&clinic.doctor().examine().unwrap(), "log_readers");

        assert_eq!(finding.severity, severity, "{finding:?}");
        assert!(
            finding
                .seen
                .starts_with("reader billing of log ledger is 50 min"),
            "{finding:?}"
        );
        clinic.carry_out(&finding);
        assert!(is_ok(&clinic.doctor().examine().unwrap(), "log_readers"));
    }
}

#[test]
fn a_log_that_nobody_reads_any_more_is_found() {
    let mut clinic = Clinic::new();
    let messaging = clinic.messaging();
    ledger(&messaging, SlowReaders::Hold);
    clinic.sql("UPDATE outtray.log_tick SET at = at - interval '50 minutes'");
    send(&messaging, "ledger", &1);
    assert!(is_ok(&clinic.doctor().examine().unwrap(), "log_readers"));
    clinic.sql("UPDATE outtray.log_entry SET sent_at = sent_at - interval '50 minutes'");

    let finding = found(&clinic.doctor().examine().unwrap(), "log_readers");

    assert!(
        finding
            .seen
            .starts_with("reader billing of log ledger is 50 min"),
        "{finding:?}"
    );
    clinic.carry_out(&finding);
    let reader = messaging.reader("ledger", "billing");
    let reader = reader.start(|_, _: &[Message<i32>]| Ok(())).unwrap();
    eventually("it has read on", || {
        is_ok(&clinic.doctor().examine().unwrap(), "log_readers")
    });
    reader.stop(MINUTE);
}

#[test]
fn of_many_alike_the_first_are_told_and_the_rest_counted() {
    let clinic = Clinic::new();
    let messaging = clinic.messaging();
    for number in 0..25 {
        send(&messaging, &format!("topic.{number}"), &1);
    }

    let diagnosis = clinic.doctor().examine().unwrap();

    let findings = diagnosis.of("unreceived_topics");
    assert_eq!(findings.len(), 11);
    assert_eq!(findings[10].seen, "15 more like these");
}
