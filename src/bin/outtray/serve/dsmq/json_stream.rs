//! Finds where a JSON object ends in a stream of bytes, however it is joined or split.
//!
//! A few numbers are all that is kept between two pieces, and each byte is looked at once. Whether
//! the object is JSON at all is for the parser to say, which gets it whole.

/// Why a stream cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokenStream {
    /// It does not begin with `{`.
    NotAnObject,
    TooDeep,
}

/// How far the next object has been looked at.
#[derive(Debug, Default)]
pub(crate) struct ObjectScan {
    scanned: usize,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl ObjectScan {
    /// Looks on from where it stopped; `bytes` begin with the object. Returns its length once its
    /// end is there, and begins anew.
    pub(crate) fn end(
        &mut self,
        bytes: &[u8],
        deepest: usize,
    ) -> Result<Option<usize>, BrokenStream> {
        for (at, byte) in bytes.iter().enumerate().skip(self.scanned) {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_in_string => self.is_escaped = true,
                b'"' => self.is_in_string = !self.is_in_string,
                _ if self.is_in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if at == 0 && *byte != b'{' {
                return Err(BrokenStream::NotAnObject);
            }
            if self.depth > deepest {
                return Err(BrokenStream::TooDeep);
            }
            if self.depth == 0 {
                *self = ObjectScan::default();
                return Ok(Some(at + 1));
            }
        }
        self.scanned = bytes.len();
        Ok(None)
    }
}

/// Returns whether JSON may have this between two values.
pub(crate) fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Option<usize>, BrokenStream>) {
        assert_eq!(ObjectScan::default().end(text.as_bytes(), 4), expected);
        // Byte by byte the answer is the same.
        let mut scan = ObjectScan::default();
        let mut answers = (1..=text.len()).map(|end| scan.end(&text.as_bytes()[..end], 4));
        let known = answers.find(|answer| *answer != Ok(None));
        let last = known.unwrap_or(Ok(None));
        assert_eq!(last, expected, "{text} byte by byte");
    }

    #[test]
    fn an_object_ends_at_its_own_brace() {
        check(r#"{}"#, Ok(Some(2)));
        check(r#"{"a": {"b": [1]}} {"#, Ok(Some(17)));
        check(r#"{"a": "}\"}"}"#, Ok(Some(13)));
        check(r#"{"a\\": 1}{"#, Ok(Some(10)));
        check(r#"{"a": [{"b": "#, Ok(None));
        check("", Ok(None));
    }

    #[test]
    fn what_is_no_object_or_too_deep_is_told_at_once() {
        check("[1]", Err(BrokenStream::NotAnObject));
        check("hello", Err(BrokenStream::NotAnObject));
        check(r#"{"a": [[[["#, Err(BrokenStream::TooDeep));
        check(r#"{"a": "[[[[[[["}"#, Ok(Some(16)));
    }
}
