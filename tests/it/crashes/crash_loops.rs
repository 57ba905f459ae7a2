//! Messages that kill whoever handles them reach the dead letters; all others flow; and ordinary
//! traffic does not pay for it.

use crate::support::{Child, Ledger, PATIENCE, WORK, eventually, pass_time, test_name};
use crossbeam_channel::{after, unbounded};
use outtray::{Backoff, DeadReason, Message, MessageId, NewMessage, Rate, TopicConfig};
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

const CHILD: &str = test_name!(what_child_processes_run);
const MAX_ATTEMPTS: u32 = 3;

/// Keeps `processes` of them running until all messages have ended: whoever dies is started again
/// at once, as a supervisor does. Returns how often one died.
fn supervise(ledger: &Ledger, processes: usize, max_attempts: u32) -> usize {
    let role = max_attempts.to_string();
    let start = || ledger.start_child(without_a_trace(), CHILD, &role);
    let mut children: Vec<Child> = (0..processes).map(|_| start()).collect();
    let started = Instant::now();
    let mut deaths = 0;
    while ledger.left() > 0 {
        assert!(started.elapsed() < PATIENCE, "{deaths} deaths, and no end");
        for child in &mut children {
            if child.ended().is_some() {
                deaths += 1;
                *child = start();
            }
        }
        pass_time(Duration::from_millis(10));
    }
    for mut child in children {
        match child.ended() {
            Some(_) => deaths += 1,
            None => child.finish(),
        }
    }
    deaths
}

/// Returns this program without core dumps and without last words.
fn without_a_trace() -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -c 0; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .stderr(Stdio::null());
    shell
}

/// Sends `innocent` messages with `poison` in their midst; returns the id of the poison and all
/// ids.
fn send_around(
    ledger: &Ledger,
    poison: &str,
    innocent: &str,
    count: usize,
) -> (MessageId, Vec<MessageId>) {
    let payloads = (0..=count).map(|number| {
        if number == count / 2 {
            poison
        } else {
            innocent
        }
    });
    let ids = ledger.send(payloads);
    (ids[count / 2], ids)
}

#[track_caller]
fn check_only_dead_letter(ledger: &Ledger, poison: MessageId, reason: DeadReason, attempts: u32) {
    let letters = ledger.messaging().topic(WORK).dead_letters(10).unwrap();
    let dead: Vec<_> = letters.iter().map(|letter| letter.id).collect();
    assert_eq!(dead, [poison], "{letters:?}");
    assert_eq!(letters[0].reason, reason);
    assert_eq!(letters[0].attempts, attempts);
}

/// Lets `poison` do its work among `count` messages, and checks that it alone comes to harm.
#[track_caller]
fn check_poison(poison: &str, innocent: &str, count: usize, processes: usize) {
    check_poison_up_to(MAX_ATTEMPTS, poison, innocent, count, processes);
}

#[track_caller]
fn check_poison_up_to(
    max_attempts: u32,
    poison: &str,
    innocent: &str,
    count: usize,
    processes: usize,
) {
    let ledger = Ledger::open();
    let (id, sent) = send_around(&ledger, poison, innocent, count);

    let deaths = supervise(&ledger, processes, max_attempts);

    // The first death of each process is not counted: it is what makes the topic suspect. The next
    // one is, and blames nobody, since others were in hand: a message is given up only once it was
    // alone in a death.
    let counted = max_attempts.max(2);
    let most = counted as usize + processes;
    assert!((2..=most).contains(&deaths), "{deaths} deaths");
    check_only_dead_letter(&ledger, id, DeadReason::Crashed, counted);
    assert_eq!(ledger.check(&sent, &[]), 1);
}

#[test]
fn a_message_that_aborts_its_process_becomes_a_dead_letter_and_the_others_flow() {
    check_poison("abort", "quick", 300, 1);
}

#[test]
fn a_message_that_overflows_the_stack_becomes_a_dead_letter_and_the_others_flow() {
    check_poison("overflow", "quick", 300, 1);
}

#[test]
fn a_message_that_kills_one_process_after_another_becomes_a_dead_letter() {
    check_poison("abort", "quick", 300, 2);
}

#[test]
fn a_message_that_may_run_once_kills_two_processes_more_and_no_others_are_given_up() {
    check_poison_up_to(1, "abort", "quick", 300, 1);
    check_poison_up_to(1, "abort", "quick", 300, 2);
}

#[test]
fn slow_messages_that_may_run_once_survive_the_deaths_of_others() {
    check_poison_up_to(1, "abort", "slow", 12, 1);
    check_poison_up_to(1, "abort", "slow", 12, 2);
}

#[test]
fn slow_messages_that_were_in_hand_when_their_process_died_are_not_to_blame() {
    check_poison("abort", "slow", 12, 1);
}

#[test]
fn ordinary_traffic_counts_no_attempts_ahead() {
    let ledger = Ledger::open();
    let sent = ledger.send((0..100).map(|_| "quick"));

    ledger.handle_the_rest::<String>();

    // Server processes report what they did when they end.
    eventually("the traffic shows", || written(&ledger, "message") >= 200);
    assert_eq!(written(&ledger, "attempt"), 0);
    ledger.check(&sent, &[]);
}

fn written(ledger: &Ledger, table: &str) -> i64 {
    ledger.number(
        "SELECT n_tup_ins FROM pg_stat_user_tables WHERE schemaname = 'outtray' AND relname = $1::text",
        &[&table],
    )
}

#[test]
fn a_message_that_breaks_its_connection_is_charged_in_the_end_and_the_others_flow() {
    let ledger = Ledger::open();
    let (id, sent) = send_around(&ledger, "disconnect", "quick", 100);
    let messaging = ledger.messaging();

    let receiver = messaging
        .receiver(WORK)
        .max_attempts(MAX_ATTEMPTS)
        .backoff(Backoff::fixed(Duration::from_millis(50)))
        .start(|session, message: Message<String>| {
            Ledger::enter(session, &message)?;
            if message.payload == "disconnect" {
                session.execute("SELECT pg_terminate_backend(pg_backend_pid())", &[])?;
            }
            Ok(())
        })
        .unwrap();
    ledger.await_end();

    check_only_dead_letter(&ledger, id, DeadReason::Exhausted, MAX_ATTEMPTS);
    let letter = messaging.topic(WORK).dead_letter(id).unwrap().unwrap();
    assert!(letter.error.contains("connection"), "{}", letter.error);
    assert_eq!(ledger.check(&sent, &[]), 1);
    receiver.stop(PATIENCE);
}

/// Makes the topic suspect, as if a process had died a moment ago.
const SUSPECT: &str =
    "INSERT INTO outtray.topic (topic, suspect_until) VALUES ('work', now() + interval '1 minute')";

#[test]
fn conflicts_on_a_suspect_topic_are_not_taken_for_deaths() {
    const CONFLICTS: usize = 6;
    let ledger = Ledger::open();
    ledger.execute(SUSPECT);
    let sent = ledger.send(["conflicts"]);
    let left = AtomicUsize::new(CONFLICTS);

    let messaging = ledger.messaging();
    let receiver = messaging
        .receiver(WORK)
        .max_attempts(MAX_ATTEMPTS)
        .start(move |session, message: Message<String>| {
            Ledger::enter(session, &message)?;
            if left
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                session.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$", &[])?;
            }
            Ok(())
        })
        .unwrap();
    ledger.await_end();
    receiver.stop(PATIENCE);

    assert_eq!(ledger.check(&sent, &[]), 0);
    assert_eq!(ledger.number(COUNTED, &[]), 0);
}

#[test]
fn failures_at_commit_on_a_suspect_topic_are_counted_once_each() {
    let ledger = Ledger::open();
    ledger.execute(SUSPECT);
    ledger.execute(
        "CREATE TABLE taken (name text UNIQUE DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO taken VALUES ('name')",
    );
    let sent = ledger.send(["fails"]);
    let (tell, runs) = unbounded();

    let messaging = ledger.messaging();
    let receiver = messaging
        .receiver(WORK)
        // Others might run it again between the rollback and the count.
        .workers(1)
        .max_attempts(MAX_ATTEMPTS)
        .backoff(Backoff::fixed(Duration::from_millis(10)))
        .start(move |session, message: Message<String>| {
            tell.send(message.attempt)?;
            session.execute("INSERT INTO taken VALUES ('name')", &[])?;
            Ok(())
        })
        .unwrap();
    ledger.await_end();
    receiver.stop(PATIENCE);

    assert_eq!(runs.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    check_only_dead_letter(&ledger, sent[0], DeadReason::Exhausted, MAX_ATTEMPTS);
    assert_eq!(ledger.number(COUNTED, &[]), 0);
}

/// Sends a message whose process died so often, and whose key has no token for an hour; returns its
/// id.
fn send_over_the_rate_of_its_key(ledger: &Ledger, deaths: u32) -> MessageId {
    let messaging = ledger.messaging();
    let rate = Rate {
        messages: 1,
        per: Duration::from_secs(3600),
        burst: 1,
    };
    let config = TopicConfig {
        max_attempts: Some(MAX_ATTEMPTS),
        rate_per_key: Some(rate),
        ..TopicConfig::default()
    };
    messaging.topic(WORK).configure(config).unwrap();
    let message = NewMessage::json(WORK, "abort").unwrap().key("a");
    let id = messaging.send(message).unwrap().id();
    ledger.execute(&format!(
        "UPDATE outtray.topic SET suspect_until = now() + interval '1 minute' WHERE topic = 'work';
         INSERT INTO outtray.attempt (topic, id, attempts) VALUES ('work', '{id}', {deaths});
         INSERT INTO outtray.bucket VALUES ('work', 'a', now() + interval '1 hour', 1)"
    ));
    id
}

#[test]
fn a_message_that_killed_too_many_processes_is_buried_also_when_its_key_is_over_its_rate() {
    let ledger = Ledger::open();
    let id = send_over_the_rate_of_its_key(&ledger, MAX_ATTEMPTS);

    ledger.handle_the_rest::<String>();

    check_only_dead_letter(&ledger, id, DeadReason::Crashed, MAX_ATTEMPTS);
    assert_eq!(ledger.number(COUNTED, &[]), 0);
}

#[test]
fn the_deaths_of_a_message_are_remembered_while_its_key_is_over_its_rate() {
    let ledger = Ledger::open();
    send_over_the_rate_of_its_key(&ledger, 1);
    let messaging = ledger.messaging();

    let receiver = messaging
        .start_receiving_messages(WORK, |_, _: Message<String>| Ok(()))
        .unwrap();
    let waiting = "SELECT count(*) FROM outtray.scheduled";
    eventually("it is put off", || ledger.number(waiting, &[]) == 1);
    receiver.stop(PATIENCE);

    assert_eq!(ledger.number(COUNTED, &[]), 1);
}

const COUNTED: &str = "SELECT coalesce(sum(attempts), 0)::bigint FROM outtray.attempt";

/// Does nothing in the test run itself.
#[test]
fn what_child_processes_run() {
    let Some(role) = Child::role() else {
        return;
    };
    let messaging = Ledger::messaging_of_parent();
    let receiver = messaging
        .receiver(WORK)
        .max_attempts(role.parse().unwrap())
        .start(|session, message: Message<String>| {
            match message.payload.as_str() {
                "abort" => std::process::abort(),
                "overflow" => drop(overflow(0)),
                "slow" => drop(after(Duration::from_millis(300)).recv()),
                _ => {}
            }
            Ledger::enter(session, &message)
        })
        .unwrap();
    Child::await_parent();
    receiver.stop(PATIENCE);
}

fn overflow(depth: u64) -> u64 {
    let pages = black_box([depth; 4096]);
    if black_box(depth) == u64::MAX {
        return depth;
    }
    overflow(depth + 1) + pages[0]
}
