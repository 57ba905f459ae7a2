//! The style of the project, as tests. A rule is a function from a file to its offences; beside the
//! test that holds the project to it stands one that shows that the rule can fail.

mod circles;
mod comments;
mod files;
mod guide_links;
mod guides;
mod layers;
mod modules;
mod public_face;
mod repository;
mod rust_text;
mod server_texts;
mod shape;
mod sql;
mod sql_keys;
mod sql_text;
mod tests;
mod type_names;
mod waits;
