//! How long a question takes to be answered, in an idle system.

use super::bed::{Bed, Result, plain};
use super::latency::{OtherProcess, PATIENCE, REST, answering};
use super::plan::Effort;
use super::report::Report;
use crossbeam_channel::after;
use std::time::{Duration, Instant};

/// Asks and answers in this process. In plain SQL, one connection does one after the other what
/// four transactions of a request do, and nobody has to be woken.
pub(crate) fn in_process_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let receiver = answering(&bed.messaging, "ask")?;
    let rounds = plan.scaled(500);
    let times = ask(bed, "ask", rounds)?;
    receiver.stop(PATIENCE);
    let ours = rate(&times);
    let theirs = plain::request(bed, rounds, REST)?;
    let report = Report::new("request", rounds).times(times);
    Ok(report.rates(ours, rate(&theirs), plain::PREPARED))
}

/// Asks here, and another process answers.
pub(crate) fn across_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let _other = OtherProcess::start(bed, plan)?;
    // The first few wait for the other process to come up.
    ask(bed, "ask-across", 10)?;
    let rounds = plan.scaled(500);
    let times = ask(bed, "ask-across", rounds)?;
    Ok(Report::new("request-across", rounds).times(times))
}

/// Asks so often, with rests; returns how long each answer took.
fn ask(bed: &Bed, topic: &str, rounds: u64) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for number in 0..rounds {
        let _ = after(REST).recv();
        let started = Instant::now();
        let answer: u64 = bed.messaging.request(topic, &number, PATIENCE)?;
        if answer != number {
            return Err("an answer to another question".into());
        }
        times.push(started.elapsed());
    }
    Ok(times)
}

/// Returns how many there would be in a second without the rests.
fn rate(times: &[Duration]) -> f64 {
    times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64()
}
