//! All systems, in the order of the table. What is said of each is true of the version that is
//! pinned, by its source; whoever moves a version looks again.

use crate::program::Program::{Node, Python, Rust};
use crate::system::Atomic::{AckOnly, ByHand, No, Yes};
use crate::system::{System, Version};
use peer_protocol::Case;

/// The systems.
pub const SYSTEMS: &[System] = &[
    System {
        name: "outtray",
        title: "outtray",
        version: Version::Crate("outtray"),
        program: Rust("peer-outtray"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: Yes,
        why_atomic: "a handler gets the session whose transaction holds the claimed row and deletes it at the \
                     end; several handlers may share one, each behind a savepoint.",
        tuned: "8 workers, adaptive batches; the default is 4 workers, adaptive batches too.",
    },
    System {
        name: "outtray-single",
        title: "outtray, one message to a transaction",
        version: Version::None,
        program: Rust("peer-outtray"),
        arguments: &["--single"],
        leaves_out: &[Case::SendOne, Case::SendBulk, Case::DrainDefault],
        extension: None,
        atomic: Yes,
        why_atomic: "as above, and no transaction is shared.",
        tuned: "8 workers, `messages_per_transaction(1)`.",
    },
    System {
        name: "outtray-log",
        title: "outtray, a log and a named reader",
        version: Version::None,
        program: Rust("peer-outtray"),
        arguments: &["--log"],
        leaves_out: &[Case::DrainDefault],
        extension: None,
        atomic: Yes,
        why_atomic: "the handler's session is that of the transaction which moves the reader's place; a batch that \
                     fails is narrowed down to the message at fault.",
        tuned: "one reader with batches of 1,000, which crud handles with one insert and one bulk send.",
    },
    System {
        name: "plain-sql",
        title: "a table and `SKIP LOCKED`, in pgbench",
        version: Version::None,
        program: Rust("peer-plain-sql"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: ByHand,
        why_atomic: "one transaction claims, works and deletes, because the script says so.",
        tuned: "8 connections, prepared statements, 64 jobs claimed and deleted by one statement; default \
                and crud handle one to a transaction.",
    },
    System {
        name: "pgmq",
        title: "PGMQ 1.13.0 (SQL, in pgbench)",
        version: Version::None,
        program: Python("peer_pgmq.py"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: ByHand,
        why_atomic: "`read`, the work and `delete` are functions that a transaction can call one after the \
                     other, as crud does; by its documentation a read commits and hides the message for \
                     some seconds.",
        tuned: "8 connections, 100 messages to a read and to a delete, each a transaction; default is one \
                message to each. Idle latency is that of a Python program that listens, with notifications \
                not throttled. The SQL is what the Python package pgmq 1.1.4 ships.",
    },
    System {
        name: "graphile-worker-rs",
        title: "graphile_worker (Rust)",
        version: Version::Crate("graphile_worker"),
        program: Rust("peer-graphile-worker"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: No,
        why_atomic: "a job is claimed by an update of its own and deleted by another after the handler; the \
                     handler's context has a pool, not the connection of either.",
        tuned: "what its own performance test uses: 500 concurrent jobs, a local queue of 5,000, acks \
                collected for 5 ms, polls every 5 ms; 8 concurrent jobs for crud.",
    },
    System {
        name: "fang",
        title: "fang (Rust, blocking)",
        version: Version::Crate("fang"),
        program: Rust("peer-fang"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: No,
        why_atomic: "a worker fetches in one transaction and removes the task in another after the handler, \
                     which is given neither connection.",
        tuned: "8 workers, sleeps of 1 ms, pooled connections not tested before each use; the default is 8 \
                workers (it has none), tested connections, sleeps of 5 s and more.",
    },
    System {
        name: "river",
        title: "riverqueue (Rust)",
        version: Version::Crate("riverqueue"),
        program: Rust("peer-river"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: AckOnly,
        why_atomic: "`job_complete_tx` completes the job in a transaction of the handler's; the claim is a \
                     committed update, undone by a rescuer after an hour by default.",
        tuned: "2,000 concurrent jobs, the shortest pause between fetches there is (1 ms), acks collected as \
                always; the default is 10 concurrent jobs, as in its first example, and a pause of 100 ms. crud: \
                8 jobs, 1 ms.",
    },
    System {
        name: "apalis",
        title: "apalis-postgres (Rust)",
        version: Version::Crate("apalis-postgres"),
        program: Rust("peer-apalis"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: No,
        why_atomic: "tasks are fetched by one statement and their results written by another, in batches, after \
                     the handlers.",
        tuned: "batches of 500, tasks not locked a second time, handlers in parallel, notifications; the \
                default is batches of 10, one handler at a time, and polls. crud is tuned alike and its 20 \
                connections bound it.",
    },
    System {
        name: "sqlxmq",
        title: "sqlxmq (Rust)",
        version: Version::Crate("sqlxmq"),
        program: Rust("peer-sqlxmq"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: AckOnly,
        why_atomic: "`complete_with_transaction` deletes the job in the handler's transaction; the poll has \
                     committed before, and a job is polled again when it was not kept alive.",
        tuned: "50 to 250 concurrent jobs; the default is 16 to 32, and crud has 4 to 8.",
    },
    System {
        name: "awa",
        title: "awa (Rust)",
        version: Version::Crate("awa"),
        program: Rust("peer-awa"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: No,
        why_atomic: "claims and completions are batches in transactions of the runtime's own; a handler is \
                     given no part in them.",
        tuned: "500 workers, 4 claimers, claims of 500, polls every 10 ms; the default is 50 workers, one \
                claimer, 200 ms. crud has 8 workers and polls every 10 ms.",
    },
    System {
        name: "graphile-worker",
        title: "graphile-worker (Node)",
        version: Version::Npm("graphile-worker"),
        program: Node("graphile-worker.js"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: No,
        why_atomic: "jobs are claimed and completed by statements of the worker's own; a task gets clients \
                     from the pool and runs a transaction of its own.",
        tuned: "what its own performance test uses: 24 concurrent jobs, a local queue of 500, acks \
                collected; the default is one job at a time, and crud has 8.",
    },
    System {
        name: "pg-boss",
        title: "pg-boss (Node)",
        version: Version::Npm("pg-boss"),
        program: Node("pg-boss.js"),
        arguments: &[],
        leaves_out: &[Case::DrainDefault],
        extension: None,
        atomic: AckOnly,
        why_atomic: "with `transactional: true` the handler gets the transaction that completes its jobs; the \
                     fetch has committed before, and a job that expires, after 15 minutes by default, is \
                     retried.",
        tuned: "two workers with batches of 1,000, fetched without a pause while they are full, LISTEN for \
                latency; crud 8 transactional workers with batches of 50, each a transaction. The default \
                fetches one job every two seconds and was not measured.",
    },
    System {
        name: "procrastinate",
        title: "Procrastinate (Python)",
        version: Version::PyPi("procrastinate"),
        program: Python("peer_procrastinate.py"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: No,
        why_atomic: "a job is fetched and finished by functions that the worker calls in transactions of \
                     their own, around a task that has no part in them.",
        tuned: "20 concurrent jobs, rows deleted when done; the default is one at a time, rows kept; crud \
                has 8.",
    },
    System {
        name: "pgqueuer",
        title: "PgQueuer (Python)",
        version: Version::PyPi("pgqueuer"),
        program: Python("peer_pgqueuer.py"),
        arguments: &[],
        leaves_out: &[],
        extension: None,
        atomic: No,
        why_atomic: "jobs are picked in one statement and logged as done in another, for a batch at a time, \
                     after their entrypoints have returned.",
        tuned: "asyncpg and uvloop, 16 connections, 250 jobs to a batch; the default is 10.",
    },
    System {
        name: "pgq",
        title: "PgQ (SQL, from Python)",
        version: Version::Extension("pgq"),
        program: Python("peer_pgq.py"),
        arguments: &[],
        leaves_out: &[Case::DrainDefault],
        extension: Some(("pgq", "pgq3")),
        atomic: ByHand,
        why_atomic: "`next_batch`, the work and `finish_batch` can be one transaction, as here; a batch is all \
                     or nothing, and one consumer works on one batch at a time.",
        tuned: "one consumer with batches of 1,000, a tick after each bulk and every 10 ms; by default the \
                ticker waits for 500 events or 3 s, which decides more than the queue, so the default was \
                not measured.",
    },
];
