//! What it costs to have many message systems in one process: 32 schemas of one database, each with
//! a receiver.

use super::bed::{Bed, Result};
use super::counters::Counters;
use super::plan::Effort;
use super::report::Report;
use crossbeam_channel::{Sender, after, unbounded};
use outtray::postgres::Client;
use outtray::{Message, Messaging, Receiver};
use std::fs;
use std::time::{Duration, Instant};

const SCHEMAS: u64 = 32;
const PATIENCE: Duration = Duration::from_secs(30);
/// The time in which what their start entails comes to its end, and in which server processes that
/// have gone quiet report what they did.
const SETTLE: Duration = Duration::from_secs(12);

/// One of them, and how long it took to connect and to start its receiver.
struct Started {
    messaging: Messaging,
    #[expect(dead_code, reason = "dropping it stops it")]
    receiver: Receiver,
    took: Duration,
}

pub(crate) fn many_case(bed: &Bed, plan: &Effort) -> Result<Report> {
    let seconds = plan.scaled(20);
    for number in 0..SCHEMAS {
        connect(bed, number)?.migrate()?;
    }
    let mut client = bed.client()?;
    let _ = after(Duration::from_secs(1)).recv();
    let (own, threads, memory) = (connections(&mut client)?, threads()?, memory_kib()?);

    let (tell, told) = unbounded();
    let began = Instant::now();
    let systems = (0..SCHEMAS).map(|number| start(bed, number, tell.clone()));
    let systems = systems.collect::<Result<Vec<_>>>()?;
    let started = began.elapsed();

    let _ = after(SETTLE).recv();
    let (before, busy) = (Counters::read(bed)?, busy_ms()?);
    let _ = after(Duration::from_secs(seconds)).recv();
    let (counted, busy) = (Counters::read(bed)?, busy_ms()? - busy);
    let at_rest = connections(&mut client)? - own;
    let (threads, memory) = (self::threads()? - threads, memory_kib()? - memory);

    let mut at_work = 0;
    for system in &systems {
        let send = |session: &mut outtray::MessagingSession<'_>| {
            Ok(session.send_messages("work", 0..100)?)
        };
        system.messaging.session(send)?;
        at_work = at_work.max(connections(&mut client)? - own);
    }
    for _ in 0..SCHEMAS * 100 {
        told.recv_timeout(PATIENCE)?;
    }

    let times: Vec<Duration> = systems.iter().map(|system| system.took).collect();
    let began = Instant::now();
    drop(systems);
    let stopped = began.elapsed();

    let mut report = Report::new("many", seconds).counted(&before, &counted);
    // The look at the counters is a transaction too.
    report.per_second = report.commits_per_message.take();
    report.wal_bytes_per_message = None;
    report.messages = SCHEMAS;
    let each = |all: i64| all as f64 / SCHEMAS as f64;
    Ok(report.times(times).note(format!(
        "transactions a second of all at rest, {:.1} % of a processor; each has {:.1} threads, {:.1} connections at rest and {:.1} \
         at work, {:.0} KiB; all started in {:.2} s and stopped in {:.2} s",
        busy as f64 / (seconds as f64 + 1.1) / 10.0,
        each(threads),
        each(at_rest),
        each(at_work),
        each(memory),
        started.as_secs_f64(),
        stopped.as_secs_f64(),
    )))
}

fn connect(bed: &Bed, number: u64) -> Result<Messaging> {
    let builder = Messaging::builder().url(&bed.url);
    Ok(builder.schema(format!("many_{number}")).connect()?)
}

fn start(bed: &Bed, number: u64, tell: Sender<()>) -> Result<Started> {
    let began = Instant::now();
    let messaging = connect(bed, number)?;
    let receiver = messaging
        .receiver("work")
        .start(move |_, _: Message<i64>| Ok(tell.send(())?))?;
    Ok(Started {
        messaging,
        receiver,
        took: began.elapsed(),
    })
}

/// Counts the connections to the database.
fn connections(client: &mut Client) -> Result<i64> {
    let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    Ok(client.query_one(query, &[])?.try_get(0)?)
}

/// Counts the threads of this process.
fn threads() -> Result<i64> {
    Ok(i64::try_from(fs::read_dir("/proc/self/task")?.count())?)
}

/// Returns for how long threads of this process have run, to 10 ms.
fn busy_ms() -> Result<i64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no name in stat")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<i64>);
    Ok(ticks.sum::<std::result::Result<i64, _>>()? * 10)
}

/// Returns how much memory this process has.
fn memory_kib() -> Result<i64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let line = line.ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
