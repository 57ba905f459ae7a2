//! The messages of PostgreSQL's protocol that carry statements with their values beside them.

/// Appends a message; `fill` writes its content.
pub(crate) fn message(to: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    to.push(kind);
    sized(to, 4, fill);
}

/// Appends what `fill` writes after its length, which counts `head` bytes more than that.
pub(crate) fn sized(to: &mut Vec<u8>, head: usize, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend([0; 4]);
    fill(to);
    let length = i32::try_from(to.len() - start - 4 + head).unwrap_or(i32::MAX);
    to[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a text and the zero that ends it.
pub(crate) fn text(to: &mut Vec<u8>, text: &str) {
    to.extend_from_slice(text.as_bytes());
    to.push(0);
}

/// Prepares a statement; one without a name lasts until the next. The types of its parameters are
/// in its casts.
pub(crate) fn parse(to: &mut Vec<u8>, name: &str, sql: &str) {
    message(to, b'P', |body| {
        text(body, name);
        text(body, sql);
        body.extend(0_i16.to_be_bytes());
    });
}

/// Forgets a prepared statement, if there is one of that name.
pub(crate) fn close(to: &mut Vec<u8>, name: &str) {
    message(to, b'C', |body| {
        body.push(b'S');
        text(body, name);
    });
}

/// Runs a prepared statement whose values, in their binary form after their lengths, `fill` writes.
pub(crate) fn run(
    to: &mut Vec<u8>,
    name: &str,
    values: usize,
    has_rows: bool,
    fill: impl FnOnce(&mut Vec<u8>),
) {
    message(to, b'B', |body| {
        text(body, "");
        text(body, name);
        // All values are binary.
        body.extend(1_i16.to_be_bytes());
        body.extend(1_i16.to_be_bytes());
        // No more than a statement has parameters.
        body.extend(u16::try_from(values).unwrap_or(u16::MAX).to_be_bytes());
        fill(body);
        // All columns are texts, as a text query returns them.
        body.extend(0_i16.to_be_bytes());
    });
    if has_rows {
        // What columns there are, which a text query tells too.
        message(to, b'D', |body| {
            body.push(b'P');
            text(body, "");
        });
    }
    message(to, b'E', |body| {
        text(body, "");
        body.extend(0_i32.to_be_bytes());
    });
}

/// Hands over all rows of a COPY.
pub(crate) fn copied(to: &mut Vec<u8>, rows: &[u8]) {
    message(to, b'd', |body| body.extend_from_slice(rows));
    message(to, b'c', |_| {});
}

/// Ends what was asked: the server answers.
pub(crate) fn sync(to: &mut Vec<u8>) {
    message(to, b'S', |_| {});
}
