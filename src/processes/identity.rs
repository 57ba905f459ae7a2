//! By what people know a process: its host, its number there, its name and its version.

use crate::observe::process_name::{fit, host};

/// What is written of a process beside each of its receivers.
#[derive(Debug, Clone)]
pub(crate) struct ProcessIdentity {
    /// What tells it from all others, for ever.
    pub(crate) process: String,
    pub(crate) host: Option<String>,
    pub(crate) pid: i64,
    /// The name of the application, as its connections give it.
    pub(crate) program: String,
}

/// The version of outtray that runs here.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

impl ProcessIdentity {
    /// Looks at this process.
    pub(crate) fn new(process: String, program: &str) -> Self {
        ProcessIdentity {
            process,
            host: host(),
            pid: i64::from(std::process::id()),
            program: fit(program),
        }
    }
}
