//! The `outtray` command.

fn main() {}
