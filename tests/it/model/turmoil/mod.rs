//! All at once: processes that send and handle are killed and frozen, their connections cut,
//! stalled and silenced, server processes ended, the server restarted, while handlers fail in every
//! way. Nothing is lost, nothing happens twice, no neighbour is touched, and all flows again after
//! each trouble.
//!
//! 20 seconds by default. At length, and with the bound of five seconds after each trouble, on a
//! machine that does nothing else:
//! `OUTTRAY_TURMOIL_SECONDS=300 cargo test --test it turmoil -- --nocapture`.

mod hands;
mod network;

use crate::support::{Child, PATIENCE, eventually, pass_time, signal, test_name};
use crossbeam_channel::{Sender, unbounded};
use network::Network;
use outtray::testing::Server;
use postgres::{Client, NoTls, SimpleQueryMessage};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use uuid::Uuid;

const CHILD: &str = test_name!(what_child_processes_run);
const PRODUCER: &str = "producer";
const WORKER: &str = "worker";
/// The topics that tasks are sent to, each of which is handled in a way of its own.
const TOPICS: [&str; 5] = ["adaptive", "single", "leased", "batches", "keyed"];

const TABLES: &str = "
    CREATE TABLE sent (id uuid PRIMARY KEY, topic text NOT NULL, ends_by text NOT NULL, process integer NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE TABLE effect (id uuid NOT NULL, topic text NOT NULL, what text NOT NULL, process integer NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE INDEX ON sent (at);
    CREATE INDEX ON effect (at);
    CREATE TABLE known (id bigint PRIMARY KEY);
    CREATE TABLE reference (id bigint REFERENCES known DEFERRABLE INITIALLY DEFERRED)";

/// What must not be: a name for it, and the query that counts it.
const WRONG: [(&str, &str); 8] = [
    (
        "effects of attempts that failed",
        "SELECT count(*) FROM effect WHERE what <> 'effect'",
    ),
    (
        "echoes of attempts that failed",
        "SELECT count(*) FROM outtray.message WHERE topic = 'echo' AND headers ->> 'what' <> 'effect'",
    ),
    (
        "messages without their one effect",
        "SELECT count(*) FROM sent WHERE ends_by = 'effect'
            AND (SELECT count(*) FROM effect WHERE effect.id = sent.id) <> 1",
    ),
    (
        "effects of nothing",
        "SELECT count(*) FROM effect
            WHERE NOT EXISTS (SELECT FROM sent WHERE sent.id = effect.id AND sent.ends_by = 'effect')",
    ),
    (
        "effects without their one echo",
        "SELECT count(*) FROM (
            SELECT (payload #>> '{}')::uuid AS id, count(*) FROM outtray.message WHERE topic = 'echo' GROUP BY 1
        ) AS echo FULL JOIN effect USING (id) WHERE count IS DISTINCT FROM 1 OR effect.id IS NULL",
    ),
    (
        "rejected messages without their one dead letter",
        "SELECT count(*) FROM sent WHERE ends_by = 'reject'
            AND (SELECT count(*) FROM outtray.dead_letter WHERE dead_letter.id = sent.id) <> 1",
    ),
    (
        "dead letters that nobody rejected",
        "SELECT count(*) FROM outtray.dead_letter
            WHERE NOT EXISTS (SELECT FROM sent WHERE sent.id = dead_letter.id AND sent.ends_by = 'reject')",
    ),
    ("refused references", "SELECT count(*) FROM reference"),
];

const INDEXES: &str = "
    CREATE INDEX ON effect (id); CREATE INDEX ON sent (id); CREATE INDEX ON outtray.dead_letter (id);
    ANALYZE effect, sent, outtray.dead_letter";

/// Messages that have not come to their end.
const LEFT: &str = "
    SELECT (SELECT count(*) FROM outtray.message WHERE topic <> 'echo')
        + (SELECT count(*) FROM outtray.scheduled) + (SELECT count(*) FROM outtray.follower)";

/// Where they are, and what the server does.
const SHOWN: &str = "
    SELECT concat_ws(' ', now(), 'ready', topic, key, count(*), min(seq)) FROM outtray.message GROUP BY topic, key
    UNION ALL
    SELECT concat_ws(' ', now(), 'scheduled', topic, key, count(*), min(due_at), count(receipt)) FROM outtray.scheduled GROUP BY topic, key
    UNION ALL
    SELECT concat_ws(' ', now(), 'follower', topic, key, count(*), min(seq)) FROM outtray.follower GROUP BY topic, key
    UNION ALL
    SELECT concat_ws(' ', now(), 'worker', worker::text) FROM outtray.worker
    UNION ALL
    SELECT concat_ws(' ', now(), pid, state, wait_event, xact_start, pg_blocking_pids(pid)::text, left(query, 100))
        FROM pg_stat_activity WHERE datname = current_database()";

/// The bound after each trouble, which a machine that does something else may miss.
const FLOWS_WITHIN: Duration = Duration::from_secs(5);

/// A child that is started again whenever it is gone.
struct Part {
    child: Child,
    role: String,
}

/// The whole stage: a server, a network before it, and processes on both ways to it.
struct Stage {
    server: Server,
    network: Network,
    url: String,
    parts: Vec<Part>,
    told: Sender<String>,
}

impl Stage {
    fn start(&mut self, role: String) -> Part {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "ulimit -c 0; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .stderr(Stdio::null());
        let mut child = Child::start(shell, CHILD, &role);
        child.pass_on(self.told.clone());
        Part { child, role }
    }

    /// Starts again whoever died.
    fn revive(&mut self) {
        for index in 0..self.parts.len() {
            if self.parts[index].child.ended().is_some() {
                let role = self.parts[index].role.clone();
                self.parts[index] = self.start(role);
            }
        }
    }

    fn pause(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.revive();
            pass_time(Duration::from_millis(50));
        }
    }

    /// Makes one trouble and lets it pass. Returns its name.
    fn trouble(&mut self) -> &'static str {
        let some_time = |most| Duration::from_millis(fastrand::u64(200..most));
        match fastrand::u32(0..9) {
            0 | 1 => {
                let victim = fastrand::usize(..self.parts.len());
                signal(self.parts[victim].child.id(), "KILL");
                "a process killed"
            }
            2 => {
                let frozen = fastrand::usize(..self.parts.len());
                let pid = self.parts[frozen].child.id();
                signal(pid, "STOP");
                pass_time(some_time(3_000));
                signal(pid, "CONT");
                "a process frozen"
            }
            3 => {
                let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE application_name = 'outtray' AND random() < 0.5";
                client(&self.url).batch_execute(terminate).unwrap();
                "server processes ended"
            }
            4 => {
                self.server.restart_immediately().unwrap();
                "the server restarted"
            }
            5 => {
                for _ in 0..fastrand::u32(1..4) {
                    self.network.cut();
                    self.pause(some_time(300));
                }
                "connections cut"
            }
            6 => {
                self.network.stall();
                self.pause(some_time(3_000));
                self.network.clear_up();
                "the network stalled"
            }
            7 => {
                self.network.fall_silent();
                self.pause(some_time(8_000));
                self.network.clear_up();
                "the network silent"
            }
            _ => {
                // The server does not hear of it for a while, and keeps what the process held.
                self.network.fall_silent();
                let victim = fastrand::usize(..self.parts.len());
                signal(self.parts[victim].child.id(), "KILL");
                self.pause(some_time(1_000));
                self.network.clear_up();
                "a process killed in silence"
            }
        }
    }

    /// Waits until, after this moment, each process has sent or handled something, and something of
    /// each topic was handled; returns how long that took.
    fn await_flow(&mut self, after_what: &str) -> Duration {
        let healed = Instant::now();
        let now = "SELECT clock_timestamp()::text";
        let now: String = client(&self.url).query_one(now, &[]).unwrap().get(0);
        let standing = format!(
            "SELECT process FROM unnest($1::integer[]) AS part (process)
            WHERE NOT EXISTS (SELECT FROM sent WHERE at > '{now}' AND sent.process = part.process)
                AND NOT EXISTS (SELECT FROM effect WHERE at > '{now}' AND effect.process = part.process)
            UNION ALL
            SELECT 0 WHERE (SELECT count(DISTINCT topic) FROM effect WHERE at > '{now}') < {}",
            TOPICS.len()
        );
        loop {
            self.revive();
            let processes: Vec<i32> = self.parts.iter().map(|part| part.child.id()).collect();
            let rows = client(&self.url).query(&standing, &[&processes]).unwrap();
            if rows.is_empty() {
                break;
            }
            let standing: Vec<&str> = rows.iter().map(|row| self.role_of(row.get(0))).collect();
            let so_long = healed.elapsed();
            if so_long > PATIENCE.mul_f32(0.9) {
                self.show();
            }
            assert!(
                so_long < PATIENCE,
                "after {after_what} stand still: {standing:?}"
            );
            pass_time(Duration::from_millis(20));
        }
        healed.elapsed()
    }
}

impl Stage {
    fn role_of(&self, process: i32) -> &str {
        let mut parts = self.parts.iter();
        let part = parts.find(|part| part.child.id() == process);
        part.map_or("a topic", |part| &part.role)
    }
}

fn client(url: &str) -> Client {
    let mut client = Client::connect(url, NoTls);
    eventually("the server answers", || {
        if client.is_err() {
            client = Client::connect(url, NoTls);
        }
        client.is_ok()
    });
    client.unwrap()
}

/// Collects what producers tell, until nobody can tell any more.
fn collect(told: crossbeam_channel::Receiver<String>) -> JoinHandle<[Vec<Uuid>; 2]> {
    let collect = move || {
        let [mut sent, mut failed] = [Vec::new(), Vec::new()];
        for line in told {
            match line.split_once(' ') {
                Some(("sent", id)) => sent.push(id.parse().unwrap()),
                Some(("failed", id)) => failed.push(id.parse().unwrap()),
                _ => {}
            }
        }
        [sent, failed]
    };
    thread::Builder::new().spawn(collect).unwrap()
}

/// Sets everything up, with a producer and a worker on either way to the server.
fn set_up(told: Sender<String>) -> Stage {
    let server = Server::builder().always_embedded().start().unwrap();
    let url = server.database().unwrap();
    client(&url).batch_execute(TABLES).unwrap();
    let network = Network::before(&url);
    let relayed = network.url().to_owned();
    let mut stage = Stage {
        server,
        network,
        url: url.clone(),
        parts: Vec::new(),
        told,
    };
    for way in [&url, &relayed] {
        for part in [PRODUCER, WORKER] {
            let part = stage.start(format!("{part} {way}"));
            stage.parts.push(part);
        }
    }
    stage
}

impl Stage {
    fn count(&self, query: &str) -> i64 {
        client(&self.url).query_one(query, &[]).unwrap().get(0)
    }

    /// Ends the producers, and waits until all that was sent has come to its end.
    fn finish(&mut self) {
        self.parts.retain(|part| part.role.starts_with(WORKER));
        loop {
            let before = self.count(LEFT);
            if before == 0 {
                return;
            }
            let started = Instant::now();
            eventually(&format!("{before} messages become fewer"), || {
                self.revive();
                if started.elapsed() > PATIENCE.mul_f32(0.9) {
                    self.show();
                }
                self.count(LEFT) < before
            });
        }
    }

    /// Prints where messages are, and what the server does.
    fn show(&self) {
        for row in client(&self.url).simple_query(SHOWN).unwrap() {
            if let SimpleQueryMessage::Row(row) = row {
                println!("{}", row.get(0).unwrap_or_default());
            }
        }
    }

    /// Checks that nothing is wrong, and that senders were told the truth.
    fn check(&self, sent: &[Uuid], failed: &[Uuid]) {
        // What five minutes leave is not to be compared row by row.
        client(&self.url).batch_execute(INDEXES).unwrap();
        for (what, query) in WRONG {
            assert_eq!(self.count(query), 0, "{what}");
        }
        let booked = |ids: &[Uuid]| -> i64 {
            let query = "SELECT count(*) FROM sent WHERE id = ANY ($1)";
            client(&self.url).query_one(query, &[&ids]).unwrap().get(0)
        };
        let kept = usize::try_from(booked(sent)).unwrap();
        assert_eq!(
            kept,
            sent.len(),
            "senders were told that these are committed"
        );
        assert_eq!(booked(failed), 0, "senders were told that these are not");
        assert!(sent.len() > 100, "{} sent", sent.len());
    }
}

#[test]
fn nothing_is_lost_doubled_or_touched_in_any_turmoil_and_all_flows_again() {
    let at_length = std::env::var("OUTTRAY_TURMOIL_SECONDS").ok();
    let seconds = at_length
        .as_ref()
        .map_or(20, |seconds| seconds.parse().unwrap());
    let (told, lines) = unbounded();
    let collected = collect(lines);
    let mut stage = set_up(told);
    stage.await_flow("the start");
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut slowest = (Duration::ZERO, "");

    while Instant::now() < until {
        let name = stage.trouble();
        let took = stage.await_flow(name);
        println!("{name}: all flows again after {took:?}");
        slowest = slowest.max((took, name));
        stage.pause(Duration::from_millis(fastrand::u64(0..500)));
    }
    stage.finish();
    stage.parts.clear();
    stage.told = unbounded().0;
    let [sent, failed] = collected.join().unwrap();

    stage.check(&sent, &failed);
    println!("{} sent, slowest: {slowest:?}", sent.len());
    assert!(
        at_length.is_none() || slowest.0 < FLOWS_WITHIN,
        "{slowest:?}"
    );
}

/// Does nothing in the test run itself.
#[test]
fn what_child_processes_run() {
    if let Some(role) = Child::role() {
        hands::run(&role);
    }
}
