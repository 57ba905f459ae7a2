//! The dashboard: what the queue is doing, in a browser, and what an operator does about it.
//!
//! `outtray serve --http ADDR` serves it. A program serves it itself with [`Dashboard`]. See
//! `docs/DASHBOARD.md` for its pages and how it is secured.
//!
//! ```text
//!   the server's thread        the desk: up to four threads
//!   a request ──► door ──────► pages: a plain function asks the database, and makes the page
//!                 who asks?       │  what others asked a moment ago is on the shelf
//!   an answer ◄── layout ◄────────┘  or: "the database does not answer", after three seconds
//! ```
//!
//! A page is a function in `pages` and a line in its table; so is a change. Both may wait for the
//! database. While nobody looks, nothing is asked.

mod assets;
mod door;
mod frame;
mod front;
mod layout;
mod pages;
mod requests;
mod serving;

pub use crate::web::desk::{Desk, NoAnswer};
pub use crate::web::http_server::HttpServer;
pub use crate::web::shelf::Shelf;
pub use crate::web::stopping::{StopSignal, StopSwitch, Stopping};
pub use crate::web::token::Token;
pub use front::{Dashboard, RunningDashboard};
