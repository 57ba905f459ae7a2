//! What was given up is kept, comes back when somebody says so, and goes in time.

mod mending;
mod redriving;
mod retention;
