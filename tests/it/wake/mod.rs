//! Messages are found as soon as they are there, and nobody asks for them all the time.

mod late_commits;
mod quiet;
mod wake_ups;
