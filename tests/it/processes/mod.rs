//! Who receives is listed, with what is in work, for operators and dashboards.

mod in_work;
mod listed;
