//! The database does what a small model in memory does, step by step, whatever is done to it.
//!
//! `op` (with `spreading`) says what can be done and makes random sequences of it, `pure` (with
//! `hands`, `lines`, `routes` and `log`) says what is to come of it, `real` (with `sending`,
//! `taking`, `publishing` and `reading`) does it, and `look` says what came of it. After every step
//! both are compared: what the step was seen to do, and all that there is. A sequence at whose end
//! they differ is made as short as it gets, and printed with its seed:
//!
//! ```text
//! OUTTRAY_MODEL_SEED=… OUTTRAY_MODEL_STEPS=… cargo test --test it model::steps
//! ```
//!
//! A new thing that can be done is a variant of `Op`, an arm in both `apply`s, and where it leaves
//! something that no field of `State` (in `seen`) shows, a field.

mod hands;
mod lines;
mod log;
mod look;
mod op;
mod publishing;
mod pure;
mod reading;
mod real;
mod routes;
mod seen;
mod sending;
mod spreading;
mod taking;

use crate::support::shrink;
use fastrand::Rng;
use op::{Answer, Kind, LOG, Op, PLAIN, Settling};
use pure::Model;
use real::Real;
use seen::{Seen, State};
use spreading::Shared;
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Sequences and their steps: some seconds. Short ones begin anew with an empty database.
const SEQUENCES: usize = 12;
const STEPS: usize = 100;
/// On a busy machine fewer sequences are begun.
const ENOUGH: Duration = Duration::from_secs(10);
/// Sequences that are tried to make one that fails shorter.
const MAX_TRIES: usize = 200;

#[test]
fn random_sequences_of_operations_do_what_the_model_does() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let steps = number("OUTTRAY_MODEL_STEPS").map_or(STEPS, |steps| steps as usize);
    let seeds = match number("OUTTRAY_MODEL_SEED") {
        Some(seed) => vec![seed],
        None => (0..SEQUENCES).map(|_| fastrand::u64(..)).collect(),
    };
    let started = Instant::now();
    for seed in seeds {
        if started.elapsed() > ENOUGH {
            break;
        }
        let mut rng = Rng::with_seed(seed);
        let ops: Vec<Op> = (0..steps).map(|_| Op::random(&mut rng)).collect();
        let Err(difference) = run(&ops) else { continue };
        let failing = ops[..=difference.step].to_vec();
        let shortest = shrink(failing, MAX_TRIES, |ops| run(ops).is_err());
        let text = run(&shortest).map_or_else(|difference| difference.text, |()| "gone".to_owned());
        panic!(
            "seed {seed}, step {} of {steps}: {}\nthe shortest that fails:\n{}{text}",
            difference.step,
            difference.text,
            lines(&shortest)
        );
    }
}

/// Where the model and the database differ.
struct Difference {
    step: usize,
    text: String,
}

/// Runs a sequence in a database of its own.
fn run(ops: &[Op]) -> Result<(), Difference> {
    compare(&mut Real::new(), &mut Model::default(), ops)
}

fn compare(real: &mut Real, model: &mut Model, ops: &[Op]) -> Result<(), Difference> {
    for (step, op) in ops.iter().enumerate() {
        let mut after = model.clone();
        let expected = (after.apply(op), after.state());
        if after.is_unsure {
            // Then nobody does it.
            continue;
        }
        *model = after;
        let found = catch_unwind(AssertUnwindSafe(|| (real.apply(op), real.state())));
        let text = match found {
            Ok(found) if found == expected => continue,
            Ok(found) => differing(op, &expected, &found),
            Err(panic) => format!("{op:?} panicked: {:?}", panic.downcast_ref::<String>()),
        };
        return Err(Difference { step, text });
    }
    Ok(())
}

/// Writes down what was expected and what was found of what differs.
fn differing(
    op: &Op,
    (expected_seen, expected): &(Seen, State),
    (found_seen, found): &(Seen, State),
) -> String {
    let mut text = format!("after {op:?}\n");
    if expected_seen != found_seen {
        text += &format!("expected {expected_seen:?}\nfound    {found_seen:?}\n");
    }
    if expected.log != found.log {
        text += &format!("expected {:?}\nfound    {:?}\n", expected.log, found.log);
    }
    if expected.subscriptions != found.subscriptions {
        let (expected, found) = (&expected.subscriptions, &found.subscriptions);
        text += &format!("subscriptions, expected {expected:?}, found {found:?}\n");
    }
    for (topic, (expected, found)) in expected.topics.iter().zip(&found.topics).enumerate() {
        if expected != found {
            text += &format!(
                "topic {topic}, expected {expected:?}\ntopic {topic}, found    {found:?}\n"
            );
        }
    }
    text
}

fn lines(ops: &[Op]) -> String {
    ops.iter().map(|op| format!("    {op:?}\n")).collect()
}

const SEND: Op = Op::Send {
    topic: 0,
    count: 2,
    message: PLAIN,
    by_sql: false,
};
const SUBSCRIBE: Op = Op::Shared(Shared::Subscribe {
    topic: 1,
    pattern: 4,
});
const RECORD: Op = Op::Send {
    topic: LOG,
    count: 2,
    message: PLAIN,
    by_sql: false,
};
const ACK: Op = Op::Handle {
    topic: 0,
    answer: Answer::Ack,
    sends_on: false,
};

#[test]
fn a_difference_between_database_and_model_is_found_where_it_is() {
    for sabotage in [
        "UPDATE outtray.message SET attempts = 1",
        "UPDATE outtray.message SET seq = -seq",
        "UPDATE outtray.message SET topic = 'odd'",
        "DELETE FROM outtray.message",
        "INSERT INTO outtray.history SELECT floor(extract(epoch FROM now()) / 86400) + 1, topic, id, 'done', now(), NULL, NULL, sent_at, NULL, NULL, 1 FROM outtray.message",
        "UPDATE outtray.topic SET paused_at = now() WHERE topic = 'even'",
        "DELETE FROM outtray.subscription",
        "UPDATE outtray.subscription SET pattern = '#'",
        "DELETE FROM outtray.log_entry",
        "UPDATE outtray.log_entry SET key = 'a'",
    ] {
        let (mut real, mut model) = (Real::new(), Model::default());
        let before = [SEND, SUBSCRIBE, RECORD];
        assert!(compare(&mut real, &mut model, &before).is_ok());
        real.place.sql(sabotage);
        let found = compare(&mut real, &mut model, &[ACK, SEND]);
        let step = found.map_or_else(|difference| Some(difference.step), |()| None);
        assert_eq!(step, Some(0), "{sabotage}");
    }
}

#[test]
fn a_fault_in_a_function_is_found_where_it_is() {
    let keyed = Op::Send {
        topic: 0,
        count: 2,
        message: Kind {
            key: Some('a'),
            ..PLAIN
        },
        by_sql: false,
    };
    let lease = Op::Lease {
        topic: 0,
        by_sql: true,
    };
    let ack = Op::Settle {
        nth: 0,
        how: Settling::Ack,
        by_sql: true,
    };
    let (mut real, mut model) = (Real::new(), Model::default());
    // The next of a key stays where it is.
    real.place.sql(
        "CREATE OR REPLACE FUNCTION outtray.end_message(
            the_topic text, the_id uuid, the_key text, the_on_end smallint, how text, the_result text
        ) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'",
    );

    let found = compare(&mut real, &mut model, &[keyed, lease, ack]);

    assert_eq!(found.err().map(|difference| difference.step), Some(2));
}

#[test]
fn a_sequence_that_fails_is_made_as_short_as_it_gets() {
    let purge = Op::Purge { topic: 1 };
    let mut rng = Rng::with_seed(7);
    let mut ops: Vec<Op> = (0..50).map(|_| Op::random(&mut rng)).collect();
    ops.insert(11, SEND);
    ops.push(purge.clone());

    // Wherever it is sent before it is purged.
    let shortest = shrink(ops, MAX_TRIES, |ops| {
        let sent = ops.iter().position(|op| *op == SEND);
        let purged = ops.iter().rposition(|op| *op == purge);
        matches!((sent, purged), (Some(sent), Some(purged)) if sent < purged)
    });

    assert_eq!(shortest, [SEND, purge]);
}

#[test]
fn random_sequences_come_upon_all_that_can_happen() {
    let mut met = String::new();
    let mut unsure = 0;
    for seed in 0..560 {
        let (mut rng, mut model) = (Rng::with_seed(seed), Model::default());
        for _ in 0..STEPS {
            let mut after = model.clone();
            let seen = after.apply(&Op::random(&mut rng));
            if after.is_unsure {
                unsure += 1;
                continue;
            }
            model = after;
            met += &format!("{seen:?}");
        }
        met += &format!("{:?}", model.state());
    }
    assert!(unsure < 100, "{unsure} steps are skipped");
    for what in [
        "lost",
        "settled",
        "Removed",
        "Asked",
        "NotThere",
        "duplicates_of: [0",
        "done",
        "cancelled",
        "purged",
        "\"dead\"",
        "\"expired\")",
        "undecodable",
        "parked",
        "is_over: true",
        "exhausted",
        "crashed",
        "rejected",
        "leased: [M",
        "behind: [M",
        "scheduled: [M",
        "\"story\", \"#\"",
        "\"changed\"",
        "counts: [3, 0",
        "counts: [0, 1]",
        "read: [0",
        "entries: [(0, Some(",
    ] {
        let times = met.matches(what).count();
        assert!(times > 10, "{what}: {times} times");
    }
}
