//! A message is found wherever it is, and a search finds what it is for without looking at more
//! than it may.

mod by_id;
mod searching;
