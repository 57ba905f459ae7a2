//! The two views.

use clap::ValueEnum;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TopView {
    /// Topics and their numbers
    Topics,
    /// Who receives, and what is in work for long
    Processes,
}
