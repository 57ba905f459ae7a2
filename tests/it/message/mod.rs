//! A message arrives as it was sent, whatever way it goes, and whoever wrote it.

mod carried;
mod detours;
mod unreadable;
