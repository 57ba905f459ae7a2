//! The messages in a stream of PostgreSQL's protocol, as far as they have to be distinguished.

/// How much of the content of a server's message is kept: what is of interest here comes first.
const LONGEST: usize = 256;

/// Finds the messages in what goes or comes, in whatever pieces.
#[derive(Debug)]
pub(crate) struct Frames {
    /// The type and length of the message at hand, as far as they are there.
    head: Vec<u8>,
    head_length: usize,
    /// What of the message is still to come.
    rest: usize,
    /// Its content, if that is of interest.
    body: Vec<u8>,
    wanted: &'static [u8],
    longest: usize,
}

impl Frames {
    /// What a server says; the content of messages of the `wanted` types is kept.
    pub(crate) fn of_server(wanted: &'static [u8]) -> Self {
        Frames {
            head: Vec::with_capacity(5),
            head_length: 5,
            rest: 0,
            body: Vec::new(),
            wanted,
            longest: LONGEST,
        }
    }

    /// What a client says. Its first message has no type, and counts as of type 0.
    pub(crate) fn of_client() -> Self {
        let mut frames = Frames::of_server(&[]);
        frames.head.push(0);
        frames
    }

    /// The requests of a client that is connected; the content of those with SQL in them is kept.
    pub(crate) fn of_requests() -> Self {
        let mut frames = Frames::of_server(b"QP");
        frames.longest = usize::MAX;
        frames
    }

    /// Takes the next piece, and tells of each message that ends in it.
    pub(crate) fn take(&mut self, mut piece: &[u8], mut ended: impl FnMut(u8, &[u8])) {
        while !piece.is_empty() {
            // Most messages are in one piece, as are all rows of an answer but the last.
            if let [kind, a, b, c, d, rest @ ..] = piece
                && self.head.is_empty()
            {
                let length = u32::from_be_bytes([*a, *b, *c, *d]).saturating_sub(4);
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if let Some((body, rest)) = rest.split_at_checked(length) {
                    let is_wanted = self.wanted.contains(kind);
                    let most = if is_wanted {
                        self.longest.min(length)
                    } else {
                        0
                    };
                    ended(*kind, &body[..most]);
                    piece = rest;
                    continue;
                }
            }
            if self.head.len() < self.head_length {
                let missing = self.head_length - self.head.len();
                let (head, rest) = piece.split_at(missing.min(piece.len()));
                self.head.extend_from_slice(head);
                piece = rest;
                let &[_, a, b, c, d] = self.head.as_slice() else {
                    return;
                };
                let length =
                    usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                // The length counts itself.
                self.rest = length.saturating_sub(4);
            }
            let (body, rest) = piece.split_at(self.rest.min(piece.len()));
            if self.wanted.contains(&self.head[0]) {
                let room = self.longest - self.body.len();
                self.body.extend_from_slice(&body[..body.len().min(room)]);
            }
            self.rest -= body.len();
            piece = rest;
            if self.rest == 0 {
                ended(self.head[0], &self.body);
                self.head.clear();
                self.body.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [kind, &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn messages_are_found_in_pieces_of_any_size() {
        let said = [
            message(b"K", &[1, 2, 3, 4]),
            message(b"D", &[9; 1000]),
            message(b"1", &[]),
            message(b"Z", b"I"),
        ]
        .concat();
        for size in 1..said.len() {
            let mut frames = Frames::of_server(b"K");
            let mut found = Vec::new();
            for piece in said.chunks(size) {
                frames.take(piece, |kind, body| found.push((kind, body.to_vec())));
            }

            let expected = [
                (b'K', vec![1, 2, 3, 4]),
                (b'D', vec![]),
                (b'1', vec![]),
                (b'Z', vec![]),
            ];
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn the_first_message_of_a_client_has_no_type() {
        let said = [message(b"", b"user\0me\0\0"), message(b"Q", b"\0")].concat();
        let mut found = Vec::new();

        Frames::of_client().take(&said, |kind, _| found.push(kind));

        assert_eq!(found, [0, b'Q']);
    }
}
