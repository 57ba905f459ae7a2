//! Texts that PostgreSQL can store.

/// Returns the text without what PostgreSQL cannot store. One that is longer is cut to so many
/// bytes, and a sign says so.
pub(crate) fn storable_text(text: &str, most_bytes: usize) -> String {
    let mut text = text.replace('\0', "\u{FFFD}");
    if text.len() > most_bytes {
        text.truncate(text.floor_char_boundary(most_bytes));
        text.push('…');
    }
    text
}
