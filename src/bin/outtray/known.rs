//! Topics by their names: need no declaration, so that a mistyped one would look like an empty one.

use crate::failure::CommandFailure;
use outtray::{Messaging, Topic};

/// Returns a topic to look at; says on standard error if nothing is known of it. It may be
/// mistyped, or one that was emptied a moment ago, which is no failure of whoever watches it.
pub(crate) fn looked_at<'m>(
    messaging: &'m Messaging,
    name: &str,
) -> Result<Topic<'m>, CommandFailure> {
    let topic = messaging.topic(name);
    if !topic.is_known()? {
        unknown(messaging, name)?.note();
    }
    Ok(topic)
}

/// Returns a topic of which something is known, for what changes it.
pub(crate) fn known<'m>(messaging: &'m Messaging, name: &str) -> Result<Topic<'m>, CommandFailure> {
    let topic = messaging.topic(name);
    if topic.is_known()? {
        return Ok(topic);
    }
    Err(unknown(messaging, name)?)
}

/// Says that nothing is known of a topic, and which one may be meant.
pub(crate) fn unknown(messaging: &Messaging, name: &str) -> Result<CommandFailure, CommandFailure> {
    let failure = CommandFailure::failed(format!(
        "there is no such topic as {name}: it has no messages, dead letters, settings or receivers"
    ));
    Ok(failure.hint(match nearest(messaging, name)? {
        Some(near) => format!("did you mean {near}?"),
        None => "`outtray topics` lists those that there are".to_owned(),
    }))
}

/// Returns the known topic whose name is most like this one, if any is much like it.
pub(crate) fn nearest(messaging: &Messaging, name: &str) -> Result<Option<String>, CommandFailure> {
    Ok(most_like(name, messaging.topic_names()?))
}

fn most_like(name: &str, others: Vec<String>) -> Option<String> {
    let distances = others.into_iter().map(|other| {
        let distance = distance(&name.to_lowercase(), &other.to_lowercase());
        (distance, other)
    });
    let (distance, nearest) = distances.filter(|(_, other)| other != name).min()?;
    // One slip of the finger in every three characters.
    let most = name.chars().count().max(nearest.chars().count()) / 3;
    (distance <= most.max(1)).then_some(nearest)
}

/// Returns how many characters have to be added, left out, replaced or swapped with the next to
/// make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let is_other = usize::from(one[i - 1] != other[j - 1]);
            let mut least = (rows[i - 1][j - 1] + is_other)
                .min(rows[i - 1][j] + 1)
                .min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, others: &[&str], expected: Option<&str>) {
        let others = others.iter().map(|&other| other.to_owned()).collect();
        assert_eq!(most_like(name, others).as_deref(), expected);
    }

    #[test]
    fn the_name_that_was_meant_is_found() {
        check("maill", &["orders", "mail", "mails"], Some("mail"));
        check("amil", &["mail"], Some("mail"));
        check("Mail", &["mail"], Some("mail"));
        check("odrers.euu", &["orders.eu", "orders.us"], Some("orders.eu"));
        check("größe", &["grösse"], Some("grösse"));
        check("größe", &["grösße"], Some("grösße"));
        check("x", &["y"], Some("y"));
        check("invoices", &["orders", "mail"], None);
        check("mail", &[], None);
    }
}
