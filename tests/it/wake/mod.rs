//! Messages are found as soon as they are there.

mod late_commits;
mod unknown_commits;
mod wake_ups;
