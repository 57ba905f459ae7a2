//! Ending many messages of a topic: slice by slice, each in a transaction of its own, so that no
//! statement takes long and no lock is held for long, however many there are.

use crate::changes::Note;
use crate::db::Run;
use crate::dead_letters::slices::{Slice, end_slice};
use crate::surface::topics::Topic;
use crate::words::topic;
use crate::words::{Error, ErrorKind, Result};

/// How often one slice is tried that others are in the way of.
const TRIES: usize = 5;

impl Topic<'_> {
    /// Takes slices until there are no more, and moves the lines of keys on. `next` returns how
    /// many messages a slice was, and whether there may be more.
    pub(crate) fn slices(
        &self,
        done: &str,
        progress: &mut dyn FnMut(u64),
        mut next: impl FnMut(&Self) -> Result<(u64, bool)>,
    ) -> Result<u64> {
        topic::check(&self.name)?;
        let mut so_far = 0;
        loop {
            match next(self) {
                Ok((messages, may_be_more)) => {
                    so_far += messages;
                    progress(so_far);
                    if !may_be_more {
                        break;
                    }
                }
                Err(error) if so_far == 0 => return Err(error),
                Err(error) => {
                    // Looked after by those who receive, if not now.
                    let _ = self.tend();
                    return Err(self.part_way(done, so_far, error));
                }
            }
        }
        self.tend()?;
        if so_far > 0 {
            // The head of a strict topic may be gone, for which its receivers still wait although
            // something was sent behind it meanwhile.
            self.messaging.base().waker.ready(&self.name, 1);
        }
        Ok(so_far)
    }

    fn part_way(&self, done: &str, so_far: u64, error: Error) -> Error {
        let text = format!(
            "{so_far} messages of topic {} were {done} before this, and stay so: {error}",
            self.name
        );
        Error::new(error.kind(), text).because(error)
    }

    /// Removes or moves a slice of messages in one transaction, and does what their end calls for.
    pub(crate) fn slice(
        &self,
        mut work: impl FnMut(&mut dyn Run, &str) -> Result<Slice>,
    ) -> Result<Slice> {
        let mut tries = 1;
        loop {
            match self.try_slice(&mut work) {
                Err(error) if error.kind() == ErrorKind::Conflict && tries < TRIES => tries += 1,
                tried => return tried,
            }
        }
    }

    /// Notes a slice of a change, if it has any messages. All slices have one note, to which each
    /// adds.
    pub(crate) fn note_slice(&self, run: &mut dyn Run, note: &Note, messages: u64) -> Result<()> {
        if messages == 0 {
            return Ok(());
        }
        let note = note.clone().messages(messages);
        self.messaging.note(run, Some(&self.name), &note)
    }

    fn try_slice(
        &self,
        work: &mut impl FnMut(&mut dyn Run, &str) -> Result<Slice>,
    ) -> Result<Slice> {
        self.messaging.with_connection(|connection, base| {
            let doing = "ending messages of a topic";
            let slice = end_slice(connection, &base.waker, &self.name, doing, work)?;
            let tracked = slice.tracked();
            if !tracked.is_empty() {
                self.messaging.look_after(connection, tracked);
            }
            Ok(slice)
        })
    }
}
