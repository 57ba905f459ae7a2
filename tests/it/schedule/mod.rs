//! What waits for its time is there when it comes, and not before.

mod past_times;
mod schedules;
