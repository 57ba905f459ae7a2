//! What a runner is asked to do, and what it answers.

use serde_json::json;
use std::time::Duration;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// Makes the schema and the queues `work` and `next`. Not timed.
    Setup,
    /// One message to a transaction, over one connection.
    SendOne,
    /// The bulk API, [`BULK`](crate::BULK) messages to a call, over one connection. Also fills
    /// the queue `work` for the cases below.
    SendBulk,
    /// A handler that does nothing, with the settings the system recommends for speed.
    Drain,
    /// A handler that does nothing, with the system's defaults.
    DrainDefault,
    /// A handler that inserts a row into `thing` and sends a message to `next`.
    Crud,
    /// From a message's commit to its handler, on an idle queue.
    Latency,
}

impl Case {
    /// Those that are timed, in the order in which they are run.
    pub const TIMED: [Case; 6] = [
        Case::SendOne,
        Case::SendBulk,
        Case::Drain,
        Case::DrainDefault,
        Case::Crud,
        Case::Latency,
    ];

    /// Returns the case's name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Case::Setup => "setup",
            Case::SendOne => "send-one",
            Case::SendBulk => "send-bulk",
            Case::Drain => "drain",
            Case::DrainDefault => "drain-default",
            Case::Crud => "crud",
            Case::Latency => "latency",
        }
    }

    /// Returns whether the queue `work` has to hold the messages before.
    pub fn needs_messages(self) -> bool {
        matches!(self, Case::Drain | Case::DrainDefault | Case::Crud)
    }

    fn parse(name: &str) -> Option<Case> {
        let mut cases = Case::TIMED.into_iter().chain([Case::Setup]);
        cases.find(|case| case.name() == name)
    }
}

/// What a runner was called with.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to do.
    pub case: Case,
    /// Where: a database of the system's own.
    pub url: String,
    /// How often.
    pub messages: u64,
}

impl Order {
    /// Reads the program's arguments, and the URL from its environment.
    ///
    /// # Panics
    /// When they are not a case and a number: only the driver calls runners.
    pub fn from_arguments() -> Order {
        let mut arguments = std::env::args().skip(1);
        let mut next = || arguments.next().expect("CASE MESSAGES");
        Order {
            case: Case::parse(&next()).expect("a case that this runner knows"),
            url: std::env::var("PEER_URL").expect("$PEER_URL"),
            messages: next().parse().expect("a number of messages"),
        }
    }
}

/// Answers an order that is not timed.
pub fn print_nothing() {
    println!("{}", json!({}));
}

/// Answers with the time that the messages took.
pub fn print_time(took: Duration) {
    println!("{}", json!({ "seconds": took.as_secs_f64() }));
}

/// Answers with the time that each message waited.
pub fn print_waits(waits: &[Duration]) {
    let waits: Vec<f64> = waits.iter().map(|wait| wait.as_secs_f64() * 1e6).collect();
    println!("{}", json!({ "waits_us": waits }));
}
