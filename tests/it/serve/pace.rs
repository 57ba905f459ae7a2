//! Eight clients that each put and get at 1 kHz, which was too much for the first server.
//!
//! A short time in the suite, whatever the machine is busy with. At length, with the figures:
//! `OUTTRAY_DSMQ_SECONDS=30 cargo test --release --test it serve::pace -- --nocapture`

use super::{Generation, Serving};
use serde_json::Value;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: usize = 8;
const PER_SECOND: u32 = 1000;

/// How long each put and each get of a client took.
struct Times {
    puts: Vec<Duration>,
    gets: Vec<Duration>,
}

/// Puts and gets `count` messages, one of each a millisecond, from a queue into which another puts.
fn work(serving: &Serving, number: usize, count: u32, everybody: &Barrier) -> Times {
    let mut client = serving.call(Generation::WebSocket);
    let (mine, others) = (format!("q{number}"), format!("q{}", (number + 1) % CLIENTS));
    let mut times = Times {
        puts: Vec::new(),
        gets: Vec::new(),
    };
    let mut expected = 0;
    everybody.wait();
    let started = Instant::now();
    for at in 0.. {
        let due = started + Duration::from_secs(1) * at / PER_SECOND;
        thread::park_timeout(due.saturating_duration_since(Instant::now()));
        if at < count {
            let begun = Instant::now();
            client.put(&mine, at);
            times.puts.push(begun.elapsed());
        }
        let begun = Instant::now();
        let got = client.get(&others);
        times.gets.push(begun.elapsed());
        match got {
            empty if empty == "" => {
                assert!(begun - started < Duration::from_secs(120), "{expected} got")
            }
            got => {
                assert_eq!(got, Value::from(expected), "of {others}");
                expected += 1;
            }
        }
        if expected == count && at >= count {
            break;
        }
    }
    times
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0
}

#[test]
fn eight_clients_at_1_khz_lose_nothing_and_keep_the_order() {
    let seconds = std::env::var("OUTTRAY_DSMQ_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let count = seconds.map_or(300, |seconds: u32| seconds * PER_SECOND);
    let serving = Serving::new();
    let everybody = Barrier::new(CLIENTS);

    let begun = Instant::now();
    let mut all = Times {
        puts: Vec::new(),
        gets: Vec::new(),
    };
    thread::scope(|scope| {
        let (serving, everybody) = (&serving, &everybody);
        let workers: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || work(serving, number, count, everybody)))
            .collect();
        for worker in workers {
            let times = worker.join().unwrap();
            all.puts.extend(times.puts);
            all.gets.extend(times.gets);
        }
    });
    let took = begun.elapsed();

    let (put, get) = (percentile(&mut all.puts, 50), percentile(&mut all.gets, 99));
    println!(
        "{CLIENTS} clients, {count} puts each in {took:.1?}: a put {put:.3} ms at the median and {:.3} ms at p99, \
         a get {:.3} ms at the median and {get:.3} ms at p99, {} gets",
        percentile(&mut all.puts, 99),
        percentile(&mut all.gets, 50),
        all.gets.len(),
    );
    if seconds.is_some() {
        assert!(put < 1.0 && get < 10.0);
    }
}
