//! Follows the frames of a WebSocket from outside, to know whether its client is in the middle of a
//! message: one that dawdles there is cut off, while one that is silent between messages may stay.

/// The longest header of a frame from a client: two bytes, a length of eight, a mask of four.
const LONGEST_HEADER: usize = 14;
const FINAL: u8 = 0x80;
const CONTROL: u8 = 0x08;

#[derive(Debug, Default)]
pub(crate) struct FrameWatch {
    header: [u8; LONGEST_HEADER],
    /// How much of the header has come.
    known: usize,
    /// How much of the payload has not.
    awaited: u64,
    /// Whether a fragment was not the last one of its message.
    is_in_message: bool,
}

impl FrameWatch {
    /// Follows what came.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.awaited > 0 {
                let skipped =
                    usize::try_from(self.awaited).map_or(bytes.len(), |n| n.min(bytes.len()));
                self.awaited -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header[self.known] = *first;
            self.known += 1;
            bytes = rest;
            if self.known == self.header_length() {
                self.begin_payload();
            }
        }
    }

    /// Returns whether nothing is awaited.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.known == 0 && self.awaited == 0 && !self.is_in_message
    }

    /// Returns how long the header is, as far as that can be seen.
    fn header_length(&self) -> usize {
        if self.known < 2 {
            return 2;
        }
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        match self.header[1] & 0x7f {
            126 => 4 + mask,
            127 => 10 + mask,
            _ => 2 + mask,
        }
    }

    fn begin_payload(&mut self) {
        let header = &self.header;
        self.awaited = match header[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
            127 => header[2..10]
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte)),
            short => u64::from(short),
        };
        if header[0] & CONTROL == 0 {
            self.is_in_message = header[0] & FINAL == 0;
        }
        self.known = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows the bytes one by one; returns after which of them it was between messages.
    fn between(bytes: &[u8]) -> Vec<usize> {
        let mut watch = FrameWatch::default();
        let ends = (1..=bytes.len()).filter(|end| {
            watch.follow(&bytes[end - 1..*end]);
            watch.is_between_messages()
        });
        ends.collect()
    }

    #[test]
    fn a_message_ends_with_the_payload_of_its_last_frame() {
        let text = [0x81, 0x82, 1, 2, 3, 4, b'h', b'i'];
        assert_eq!(between(&[text, text].concat()), [8, 16]);

        let first_part = [0x01, 0x80, 1, 2, 3, 4];
        let ping = [0x89, 0x80, 1, 2, 3, 4];
        let last_part = [0x80, 0x81, 1, 2, 3, 4, b'!'];
        assert_eq!(
            between(&[&first_part[..], &ping, &last_part, &ping].concat()),
            [19, 25]
        );

        let mut long = vec![0x82, 0xfe, 1, 0, 9, 9, 9, 9];
        long.resize(8 + 256, 0);
        assert_eq!(between(&long), [264]);
        let endless = [
            0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4, 5,
        ];
        assert_eq!(between(&endless), [0; 0]);
    }
}
