//! Statements touch what they need and no more, and nobody can slip them something else.

mod distributed;
mod planned_elsewhere;
mod plans;
mod search_path;
