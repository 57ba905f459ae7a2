//! The vocabulary: topics, messages, retries, errors. Pure, without input or output.

pub(crate) mod completion;
pub(crate) mod control;
pub(crate) mod decode;
pub(crate) mod deduping;
pub(crate) mod error;
pub(crate) mod filter;
pub(crate) mod filter_program;
pub(crate) mod filter_text;
pub(crate) mod finite;
pub(crate) mod handler_error;
pub(crate) mod headers;
pub(crate) mod json_text;
pub(crate) mod limits;
pub(crate) mod message;
pub(crate) mod message_id;
pub(crate) mod millis;
pub(crate) mod moment;
pub(crate) mod new_message;
pub(crate) mod outcome;
pub(crate) mod outgoing;
pub(crate) mod panics;
pub(crate) mod payload;
pub(crate) mod position;
pub(crate) mod rare;
pub(crate) mod redacted;
pub(crate) mod retry;
pub(crate) mod setting_value;
pub(crate) mod side_effects;
pub(crate) mod sqlstate;
pub(crate) mod topic;
pub(crate) mod topic_config;
pub(crate) mod topic_document;

pub(crate) use error::{Error, ErrorKind, Result};
