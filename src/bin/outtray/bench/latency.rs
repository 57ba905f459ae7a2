//! How long an idle system takes to begin work on a message.

use super::bed::{Bed, Result};
use super::plan::Effort;
use super::report::Report;
use crossbeam_channel::{after, bounded};
use outtray::{Message, Messaging, MessagingSession, Receiver};
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Lets workers park between rounds, and is longer than the pause of hints between processes: this
/// is about waking up in an idle system.
pub(super) const REST: Duration = Duration::from_millis(15);

pub(crate) fn in_process_case(bed: &Bed, plan: &Effort) -> Result<Report> {
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
pub(crate) fn across_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let report = Report::new("latency-across", plan.scaled(500));
    let _other = OtherProcess::start(bed, plan)?;
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

/// Answers each message on `ping-across` with one on `pong`, and questions with replies, until
/// standard input ends: the second process of the cases across processes. The first line of its
/// input is the database's URL.
pub(crate) fn answer_pings() -> Result<()> {
    let mut lines = io::stdin().lines();
    let url = lines.next().transpose()?.unwrap_or_default();
    let messaging = Messaging::connect(&url)?;
    let receiver =
        messaging.start_receiving_messages("ping-across", |session, message: Message<u64>| {
            session.send_message("pong", &message.payload)?;
            Ok(())
        })?;
    let answering = answering(&messaging, "ask-across")?;
    lines.for_each(drop);
    receiver.stop(PATIENCE);
    answering.stop(PATIENCE);
    Ok(())
}

/// Starts a receiver that answers what it is asked.
pub(super) fn answering(messaging: &Messaging, topic: &str) -> Result<Receiver> {
    let answer = |session: &mut MessagingSession<'_>, ask: Message<u64>| {
        session.reply(&ask, &ask.payload)?;
        Ok(())
    };
    Ok(messaging.start_receiving_messages(topic, answer)?)
}

fn silence() -> &'static str {
    "a message did not arrive in time"
}

/// A process that ends when its standard input does, and is waited for.
pub(super) struct OtherProcess(Child);

impl OtherProcess {
    /// Starts one that answers.
    pub(super) fn start(bed: &Bed, plan: &Effort) -> Result<Self> {
        let mut other = Command::new(&plan.program)
            .args(["bench", "--answer"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map(OtherProcess)
            .map_err(|error| format!("cannot run {}: {error}", plan.program.display()))?;
        other.tell(&bed.url)?;
        Ok(other)
    }

    /// Writes a line to its standard input: unlike its arguments, only the process itself sees
    /// that.
    fn tell(&mut self, line: &str) -> io::Result<()> {
        let mut input = self.0.stdin.as_ref().expect("it is piped");
        writeln!(input, "{line}")
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
