//! All systems, in the order of the table. What is said of each is true of the version that is
//! pinned, by its source; whoever moves a version looks again.

use crate::program::Program::Rust;
use crate::system::Atomic::{AckOnly, No, Yes};
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
];
