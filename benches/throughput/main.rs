//! Messages per second, each case beside the same work in plain SQL on the same server in the same
//! run, with as many connections. `cargo bench` prints both, and their ratio; only the ratio means
//! anything on another machine. The server is a throwaway one with fsync and synchronous_commit on.

mod bed;
mod plain;

use bed::{Bed, Tally};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use outtray::{Message, MessagingSession, NewMessage};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Connections of the cases that use several: enough to share a disk flush between commits.
const CONNECTIONS: usize = 8;
const BULK: usize = 1000;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    let bed = Bed::new();
    send_one(&mut criterion, &bed);
    send_bulk(&mut criterion, &bed);
    drain(&mut criterion, &bed);
    handle(
        &mut criterion,
        &bed,
        "insert and send, one per transaction",
        Some(1),
    );
    handle(&mut criterion, &bed, "insert and send, adaptive", None);
    idle_latency(&bed);
    criterion.final_summary();
}

/// Runs both sides of a case and prints how they compare. A sample takes `unit` messages at least:
/// enough that starting up does not count.
fn beside(
    criterion: &mut Criterion,
    name: &str,
    unit: u64,
    mut ours: impl FnMut(u64) -> Duration,
    mut theirs: impl FnMut(u64) -> Duration,
) {
    let (mut our_tally, mut their_tally) = (Tally::default(), Tally::default());
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(unit));
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function(BenchmarkId::from_parameter("plain SQL"), |bencher| {
        bencher.iter_custom(|units| their_tally.add(units * unit, theirs(units * unit)));
    });
    group.bench_function(BenchmarkId::from_parameter("outtray"), |bencher| {
        bencher.iter_custom(|units| our_tally.add(units * unit, ours(units * unit)));
    });
    group.finish();
    if let (Some(our_rate), Some(their_rate)) = (our_tally.rate(), their_tally.rate()) {
        println!(
            "{name}: outtray {our_rate:.0}/s, plain SQL {their_rate:.0}/s, ratio {:.2}\n",
            our_rate / their_rate
        );
    }
}

fn send_one(criterion: &mut Criterion, bed: &Bed) {
    let ours = |messages| {
        let started = Instant::now();
        for number in 0..messages {
            bed.messaging
                .session(|session| Ok(session.send_message("send", &json!({ "n": number }))?))
                .expect("a message is sent");
        }
        bed.clear_after(started)
    };
    beside(criterion, "send one", 100, ours, |messages| {
        plain::send_one(bed, messages)
    });
}

fn send_bulk(criterion: &mut Criterion, bed: &Bed) {
    let ours = |messages: u64| {
        let started = Instant::now();
        let mut left = messages as usize;
        while left > 0 {
            let some = left.min(BULK);
            bed.messaging
                .session(|session| {
                    session
                        .send_messages("send", (0..some).map(|number| json!({ "n": number })))?;
                    Ok(())
                })
                .expect("messages are sent");
            left -= some;
        }
        bed.clear_after(started)
    };
    beside(
        criterion,
        "send in bulk",
        BULK as u64 * 10,
        ours,
        |messages| plain::send_bulk(bed, messages, BULK),
    );
}

fn drain(criterion: &mut Criterion, bed: &Bed) {
    let ours = |messages| bed.receive(messages, CONNECTIONS, None, |_, _: Message<Value>| Ok(()));
    let theirs = |messages| plain::drain(bed, messages, CONNECTIONS);
    beside(criterion, "no-op handler, adaptive", 20_000, ours, theirs);
}

fn handle(criterion: &mut Criterion, bed: &Bed, name: &str, per_transaction: Option<usize>) {
    let handler = |session: &mut MessagingSession<'_>, message: Message<Value>| {
        let number = message.payload["n"].as_i64().unwrap_or_default();
        session.execute("INSERT INTO thing (n) VALUES ($1)", &[&number])?;
        session.send(NewMessage::json("next", &message.payload)?)?;
        Ok(())
    };
    let ours = |messages| bed.receive(messages, CONNECTIONS, per_transaction, handler);
    // Plain SQL has one message to a transaction in both cases: that is what people write.
    let theirs = |messages| plain::handle(bed, messages, CONNECTIONS);
    beside(criterion, name, 2_000, ours, theirs);
}

/// Time from the commit of a send to the start of the handler, while nothing else happens.
fn idle_latency(bed: &Bed) {
    const ROUNDS: usize = 300;

    let (started, starts) = crossbeam_channel::bounded(1);
    let receiver = bed
        .messaging
        .receiver("ping")
        .start(move |_, _: Message<Value>| {
            let _ = started.send(Instant::now());
            Ok(())
        })
        .expect("a receiver starts");
    let mut waits: Vec<Duration> = (0..ROUNDS)
        .map(|number| {
            // Let the worker park first: this is about waking up.
            let _ = crossbeam_channel::after(Duration::from_millis(5)).recv();
            bed.messaging
                .session(|session| Ok(session.send_message("ping", &number)?))
                .expect("a message is sent");
            let committed = Instant::now();
            let begun = starts
                .recv_timeout(Duration::from_secs(10))
                .expect("the handler runs");
            begun.saturating_duration_since(committed)
        })
        .collect();
    receiver.stop(Duration::from_secs(5));
    waits.sort_unstable();
    println!(
        "idle latency in one process: p50 {:?}, p99 {:?}",
        waits[ROUNDS / 2],
        waits[ROUNDS * 99 / 100]
    );
}
