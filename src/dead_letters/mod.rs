//! Dead letters: messages that were given up, kept with their error until somebody decides, or
//! their retention is over.

pub(crate) mod edit;
pub(crate) mod letter;
pub(crate) mod round;
pub(crate) mod selection;
pub(crate) mod slices;
