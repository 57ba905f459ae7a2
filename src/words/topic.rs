//! Topic names: what is allowed, checked before any SQL.

use crate::words::error::{Error, Result};

/// Longest topic name in bytes. It fits a NOTIFY payload (8000) and an index entry (2700) many
/// times over; longer names are a sign of data that strayed into the name.
pub(crate) const MAX_TOPIC_BYTES: usize = 200;

/// What the names of topics for replies begin with; 32 hexadecimal digits follow.
pub(crate) const REPLIES: &str = "outtray.reply.";

/// Returns whether a thread waits for each message of the topic: one for replies.
pub(crate) fn is_awaited(topic: &str) -> bool {
    topic.starts_with(REPLIES)
}

/// Checks a topic name: 1 to 200 bytes of letters, digits and `. _ - : / @ +`.
///
/// Letters and digits of any script are allowed. White space, quotes and control characters are
/// not: names end up in logs, shells and listings. `*` and `#` belong to subscription patterns.
pub(crate) fn check(topic: &str) -> Result<()> {
    if topic.is_empty() {
        return Err(Error::invalid("a topic name must not be empty"));
    }
    if topic.len() > MAX_TOPIC_BYTES {
        return Err(Error::invalid(format!(
            "topic name of {} bytes (\"{}…\") is too long, the limit is {MAX_TOPIC_BYTES}",
            topic.len(),
            topic.chars().take(20).collect::<String>().escape_debug(),
        )));
    }
    if let Some(bad) = topic.chars().find(|&c| !is_allowed(c)) {
        return Err(Error::invalid(format!(
            "topic name \"{}\" has the character {bad:?}, use letters, digits and . _ - : / @ +",
            topic.escape_debug(),
        )));
    }
    Ok(())
}

fn is_allowed(c: char) -> bool {
    c.is_alphanumeric() || "._-:/@+".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(topic: &str, expected: &str) {
        let text = check(topic).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn ordinary_names_are_allowed() {
        for topic in [
            "myTopic",
            "orders.created",
            "a/b:c@d+e-f_g",
            "größe",
            "注文",
            "1",
        ] {
            assert!(check(topic).is_ok(), "{topic}");
        }
        assert!(check(&"x".repeat(200)).is_ok());
    }

    #[test]
    fn hostile_names_are_refused_and_shown_escaped() {
        check_refused("", "must not be empty");
        check_refused(&"x".repeat(300), "300 bytes");
        check_refused("a'b", r"'\''");
        check_refused("a\"; DROP TABLE x", "letters, digits");
        check_refused("line\nbreak", r"line\nbreak");
        check_refused("nul\0", r"\0");
        check_refused("a b", "' '");
        check_refused("orders.*", "'*'");
    }
}
