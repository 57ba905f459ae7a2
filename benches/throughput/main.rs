//! Messages a second under criterion, each case beside the same work in plain SQL; the same code as
//! `outtray bench`, which has more cases and prints ratios. The server is a throwaway one with
//! fsync and synchronous_commit on.

#[path = "../../src/bin/outtray/bench/bed/mod.rs"]
#[expect(dead_code, reason = "the command's cases use more of it")]
mod bed;

use bed::Bed;
use bed::work::Task;
use criterion::{Criterion, SamplingMode, Throughput};
use std::time::Duration;

/// The cases, and how many messages a sample takes at least: enough that starting up does not
/// count.
const CASES: [(&str, Task, u64); 5] = [
    ("send one", Task::SendOne, 200),
    ("send in bulk", Task::SendBulk, 10_000),
    ("no-op handler, adaptive", Task::Drain, 20_000),
    (
        "insert and send, one per transaction",
        Task::HandleSingle,
        2_000,
    ),
    ("insert and send, adaptive", Task::HandleAdaptive, 2_000),
];

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    let bed = Bed::new().expect("a PostgreSQL to measure on");
    for (name, work, unit) in CASES {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(unit));
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function("plain SQL", |bencher| {
            bencher.iter_custom(|units| {
                work.fill(&bed, units * unit).expect("the topic fills");
                bed.settle().expect("a calm server");
                let took = work.plain(&bed, units * unit).expect("plain SQL runs").0;
                bed.clear().expect("empty tables");
                took
            });
        });
        group.bench_function("outtray", |bencher| {
            bencher.iter_custom(|units| {
                work.fill(&bed, units * unit).expect("the topic fills");
                bed.settle().expect("a calm server");
                let took = work.ours(&bed, units * unit).expect("outtray runs").all;
                bed.clear().expect("empty tables");
                took
            });
        });
        group.finish();
    }
    criterion.final_summary();
}
