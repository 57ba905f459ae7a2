//! Receivers that have nothing to do leave the database alone.

use crate::support::{Gate, HOUR, PATIENCE, Place, client, eventually, next};
use crossbeam_channel::{after, unbounded};
use outtray::testing::Server;
use outtray::{
    Backoff, Filter, HandlerError, Message, Messaging, MessagingSession, NewMessage, TopicConfig,
    TopicKind,
};
use std::fs;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Returns a server that writes every statement into its log, each after the name of its database.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Server::builder()
            .always_embedded()
            .setting("log_statement", "all")
            .setting("log_line_prefix", "<%d>")
            .setting("logging_collector", "on")
            .setting("log_filename", "statements.log")
            .start()
            .unwrap()
    })
}

/// Returns the statements that `place`'s database executes in this time.
fn statements_during(place: &mut Place, time: Duration) -> Vec<String> {
    let before = statements(place).len();
    after(time).recv().unwrap();
    // The first of them is the mark that ended the first count.
    statements(place).split_off(before + 1)
}

/// Returns the statements that were logged, up to one of our own that shows that all are.
fn statements(place: &mut Place) -> Vec<String> {
    let mark = format!("mark {}", fastrand::u64(..));
    place.sql(&format!("SELECT '{mark}'"));
    let log = server().data_dir().unwrap().join("log/statements.log");
    let database = format!("<{}>", place.url.rsplit('/').next().unwrap());
    let mut text = String::new();
    eventually("the log is written", || {
        text = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
        text.contains(&mark)
    });
    text.lines()
        .take_while(|line| !line.contains(&mark))
        .filter_map(|line| line.strip_prefix(&database))
        .filter(|line| line.contains("statement: ") || line.contains("execute "))
        // They travel with the statement that they are for, and ask nothing.
        .filter(|line| !line.contains(": SET LOCAL "))
        .map(str::to_owned)
        .collect()
}

fn place() -> Place {
    let url = server().database().unwrap();
    Place::over(&url, Messaging::connect(&url).unwrap())
}

#[test]
fn sixteen_idle_receivers_of_four_workers_ask_less_than_once_a_second() {
    let mut place = place();
    let (tell, told) = unbounded();
    let receivers: Vec<_> = (0..16)
        .map(|number| {
            let tell = tell.clone();
            place
                .messaging
                .receiver(&format!("topic-{number}"))
                .start(move |_, _: Message<i32>| Ok(tell.send(())?))
                .unwrap()
        })
        .collect();
    for receiver in &receivers {
        place.send(receiver.topic(), &1);
    }
    next(&told, 16);
    place.await_listener();
    // What their start and the last messages entail comes to its end.
    eventually("they come to rest", || {
        statements_during(&mut place, Duration::from_secs(1)).len() <= 1
    });

    // Nearly a minute: some duties are done once a minute, each with a few statements at once, and
    // are not to be counted twice. On a busy machine it is longer, and polls are rarer: each is
    // paid for.
    let began = Instant::now();
    let asked = statements_during(&mut place, Duration::from_secs(56));
    let seconds = began.elapsed().as_secs_f64();

    let of = |share: f64| (seconds * share) as usize;
    assert!(asked.len() <= of(1.0), "in {seconds} s: {asked:#?}");
    assert!(asked.len() >= of(0.15), "they poll: {asked:#?}");
}

#[test]
fn messages_that_others_hold_or_that_wait_do_not_make_parked_workers_spin() {
    let mut place = place();
    let gate = Gate::new();
    let handler_gate = gate.clone();
    let receiver = place
        .messaging
        .receiver("jobs")
        .backoff(Backoff::fixed(Duration::from_secs(600)))
        .start(move |_, message: Message<i32>| {
            if message.payload == 0 {
                return Err(HandlerError::failed("waits for its retry"));
            }
            handler_gate.pass();
            Ok(())
        })
        .unwrap();
    place.send_all("jobs", [0, 1]);
    gate.await_arrivals(1);
    // A scheduled message that becomes due in other hands.
    place.send("other", &2);
    place.sql(
        "INSERT INTO outtray.scheduled (topic, rank, id, due_at, payload)
             VALUES ('jobs', 0, gen_random_uuid(), now() + interval '1 second', '3')",
    );
    let mut holder = client(&place.url);
    let mut held = holder.transaction().unwrap();
    held.batch_execute("SELECT FROM outtray.scheduled FOR UPDATE; SELECT FROM outtray.message FOR UPDATE SKIP LOCKED")
        .unwrap();
    after(Duration::from_secs(3)).recv().unwrap();

    let asked = statements_during(&mut place, Duration::from_secs(3));
    held.rollback().unwrap();
    gate.open_for(10);
    receiver.stop(PATIENCE);

    // Ten times a second somebody looks at what is due and held, which takes six statements.
    assert!(asked.len() <= 300, "in 3 s: {asked:#?}");
}

#[test]
fn a_strict_topic_whose_head_waits_does_not_make_its_workers_spin() {
    let mut place = place();
    let (tell, told) = unbounded();
    let receiver = place
        .messaging
        .receiver("line")
        .strict_order()
        .backoff(Backoff::fixed(Duration::from_secs(600)))
        .start(move |_, message: Message<i32>| {
            tell.send(message.payload)?;
            Err(HandlerError::failed("waits for its retry"))
        })
        .unwrap();
    place.send_all("line", [1, 2, 3]);
    next(&told, 1);
    after(Duration::from_secs(1)).recv().unwrap();

    let asked = statements_during(&mut place, Duration::from_secs(4));
    receiver.stop(PATIENCE);

    // Each poll finds the second message and wakes a worker, which finds the head waiting.
    assert!(asked.len() <= 60, "in 4 s: {asked:#?}");
}

#[test]
fn topics_that_are_paused_or_hold_what_nobody_wants_do_not_make_their_workers_spin() {
    let mut place = place();
    place.send_all("paused", 0..100);
    place.send_all("filtered", 0..100);
    place.messaging.topic("paused").pause().unwrap();
    let filter = Filter::new().equals("nobody", "has");
    let receivers = [
        place.messaging.receiver("paused"),
        place.messaging.receiver("filtered").filter(filter),
    ]
    .map(|builder| builder.start(|_, _: Message<i32>| Ok(())).unwrap());
    after(Duration::from_secs(2)).recv().unwrap();

    let asked = statements_during(&mut place, Duration::from_secs(4));
    for receiver in receivers {
        receiver.stop(PATIENCE);
    }

    // Twice a second a glance finds messages, and wakes a worker of each topic, which begins, looks
    // and ends.
    assert!(asked.len() <= 60, "in 4 s: {asked:#?}");
    assert_eq!(place.messaging.topic("paused").stats().unwrap().ready, 100);
}

#[test]
fn a_message_in_work_whose_time_is_over_is_looked_at_once_a_second() {
    let mut place = place();
    let gate = Gate::new();
    let receiver = gate.holding(place.messaging.receiver("jobs").workers(1));
    let message = NewMessage::json("jobs", &1).unwrap();
    place.send_new(message.expires_in(Duration::from_millis(500)));
    gate.await_arrivals(1);
    after(Duration::from_secs(3)).recv().unwrap();

    let asked = statements_during(&mut place, Duration::from_secs(4));
    gate.open_for(1);
    receiver.stop(PATIENCE);

    // Six statements each time, and a poll.
    assert!(asked.len() <= 50, "in 4 s: {asked:#?}");
}

#[test]
fn idle_readers_of_logs_ask_no_more_than_idle_receivers() {
    let mut place = place();
    let log = TopicConfig {
        kind: TopicKind::Log,
        ..TopicConfig::default()
    };
    place.messaging.topic("ledger").configure(log).unwrap();
    let (tell, told) = unbounded();
    let readers: Vec<_> = (0..4)
        .map(|number| {
            let (name, tell) = (format!("reader-{number}"), tell.clone());
            let reader = place.messaging.reader("ledger", &name).lanes(4);
            reader.start(move |_, _: &[Message<i32>]| Ok(tell.send(())?))
        })
        .collect();
    place.send("ledger", &1);
    next(&told, 4);
    let in_hand = "outtray.log_place WHERE holder IS NOT NULL";
    eventually("nothing is in hand", || place.count(in_hand) == 0);
    // Some duties are done once a minute, each with a few statements.
    eventually("no more than the poll is asked", || {
        statements_during(&mut place, Duration::from_secs(3)).len() <= 3
    });
    drop(readers);
}

#[test]
fn a_process_that_was_answered_asks_nothing_more_and_one_that_waits_little() {
    let mut place = place();
    let replier = Messaging::connect(&place.url).unwrap();
    let answers = |place: &Place| {
        let question = NewMessage::json("quotes", &1).unwrap();
        let pending = place.messaging.begin_request(question, PATIENCE);
        let answer = |session: &mut MessagingSession<'_>, ask: Message<i32>| {
            session.reply(&ask, &2)?;
            Ok(())
        };
        replier.drain("quotes", answer).unwrap();
        pending.unwrap().wait::<i32>(PATIENCE).unwrap()
    };
    assert_eq!(answers(&place).payload, 2);

    let held = "outtray.subscription WHERE pattern = ''";
    eventually("the inbox is gone", || place.count(held) == 0);
    // Some duties are done once a minute, each with a few statements.
    eventually("nothing is asked", || {
        statements_during(&mut place, Duration::from_secs(3)).is_empty()
    });

    // The next question is as good as the first.
    let question = NewMessage::json("nobody", &1).unwrap();
    let waiting = place.messaging.begin_request(question, HOUR).unwrap();
    assert_eq!(answers(&place).payload, 2);
    // One look a second, a poll and a glance; and that the inbox is wanted.
    eventually("little is asked", || {
        statements_during(&mut place, Duration::from_secs(4)).len() <= 4 * 4
    });
    drop(waiting);
}
