//! Findings that are many, and spans of time, as people read them.

use crate::doctor::ask::Ask;
use crate::doctor::finding::Finding;

/// So many findings of one check are told in full.
const TOLD: usize = 10;

/// Keeps the first few findings of a check, and says how many more there are.
pub(crate) fn at_most(ask: &Ask<'_, '_>, mut found: Vec<Finding>) -> Vec<Finding> {
    let more = found.len().saturating_sub(TOLD);
    let Some(next) = found.get(TOLD).filter(|_| more > 0) else {
        return found;
    };
    let rest = Finding::new(ask.check, next.severity, format!("{more} more like these"));
    let rest = rest.means("they are found once those above are mended");
    found.truncate(TOLD);
    found.push(rest);
    found
}

/// Returns the first few of several.
pub(crate) fn some_of(all: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = all[..all.len().min(SHOWN)].join(", ");
    match all.len() > SHOWN {
        true => format!("{shown} and {} more", all.len() - SHOWN),
        false => shown,
    }
}

/// Returns a span of milliseconds in its two largest units.
pub(crate) fn span(ms: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    if ms < 1000 {
        return format!("{ms} ms");
    }
    let mut left = ms / 1000;
    let mut parts = Vec::new();
    for (seconds, unit) in UNITS {
        if left >= seconds {
            parts.push(format!("{} {unit}", left / seconds));
            left %= seconds;
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

/// Returns a text as one word of a shell.
pub(crate) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_two_units_at_most() {
        for (ms, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (60_000, "1 min"),
            (61_500, "1 min 1 s"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), expected);
        }
    }

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(word("customer-7"), "customer-7");
        assert_eq!(word("it's; rm"), r"'it'\''s; rm'");
        assert_eq!(word(""), "''");
        assert_eq!(word("--all"), "'--all'");
    }
}
