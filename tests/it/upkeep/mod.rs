//! What a process does beside handling messages holds up nobody, and comes in time.

mod locks_of_others;
mod pruning;
mod signing_off;
