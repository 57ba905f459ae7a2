//! How long an idle system takes to begin work on a message.

use crate::bench::Plan;
use crate::bench::bed::Bed;
use crate::bench::report::Report;
use crate::surface::messaging::Messaging;
use crate::words::error::{Error, ErrorKind, Result};
use crate::words::message::Message;
use crossbeam_channel::{after, bounded};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
/// Lets workers park between rounds, and is longer than the pause of hints between processes: this is
/// about waking up in an idle system.
const REST: Duration = Duration::from_millis(15);

pub(crate) fn in_process_case(bed: &Bed, plan: &Plan) -> Result<Report> {
    let rounds = plan.scaled(500);
    let (started, starts) = bounded(1);
    let receiver = bed.messaging.receiver("ping").start(move |_, _: Message| {
        let _ = started.send(Instant::now());
        Ok(())
    })?;
    let mut waits = Vec::new();
    for number in 0..rounds {
        let _ = after(REST).recv();
        bed.messaging
            .session(|session| Ok(session.send_message("ping", &number)?))?;
        let committed = Instant::now();
        let begun = starts.recv_timeout(PATIENCE).map_err(|_| silence())?;
        waits.push(begun.saturating_duration_since(committed));
    }
    receiver.stop(PATIENCE);
    Ok(Report::new("latency", rounds).times(waits))
}

/// Another process answers each message on `ping` with one on `pong`. Its way there and back is two
/// wake-ups across processes; half of it is one. Clocks of two processes are not compared.
pub(crate) fn across_case(bed: &Bed, plan: &Plan) -> Result<Report> {
    let report = Report::new("latency-across", plan.scaled(500));
    let Some(command) = &plan.second_process else {
        return Ok(report.note("left out: no second process here"));
    };
    let _other = Ended(
        command()
            .arg(&bed.url)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, "no second process").because(error)
            })?,
    );
    let (answered, answers) = bounded(1);
    let receiver = bed.messaging.receiver("pong").start(move |_, _: Message| {
        let _ = answered.send(Instant::now());
        Ok(())
    })?;
    let mut waits = Vec::new();
    // The first few wait for the other process to come up.
    for number in 0..report.messages + 10 {
        let _ = after(REST).recv();
        bed.messaging
            .session(|session| Ok(session.send_message("ping-across", &number)?))?;
        let committed = Instant::now();
        let begun = answers.recv_timeout(PATIENCE).map_err(|_| silence())?;
        if number >= 10 {
            waits.push(begun.saturating_duration_since(committed) / 2);
        }
    }
    receiver.stop(PATIENCE);
    Ok(report.times(waits))
}

/// Answers each message on `ping-across` with one on `pong`, until standard input ends: the second
/// process of the case across processes.
///
/// # Errors
/// Those of connecting and receiving.
pub fn answer_pings(url: &str) -> Result<()> {
    let messaging = Messaging::connect(url)?;
    let receiver =
        messaging.start_receiving_messages("ping-across", |session, message: Message<u64>| {
            session.send_message("pong", &message.payload)?;
            Ok(())
        })?;
    let mut line = String::new();
    while std::io::stdin()
        .read_line(&mut line)
        .is_ok_and(|bytes| bytes > 0)
    {
        line.clear();
    }
    receiver.stop(PATIENCE);
    Ok(())
}

fn silence() -> Error {
    Error::new(ErrorKind::Unavailable, "a message did not arrive in time")
}

/// A process that ends when its standard input does, and is waited for.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
