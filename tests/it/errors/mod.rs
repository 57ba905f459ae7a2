//! Who gets something wrong is told what, and nobody is told what is not for them.

mod bad_input;
mod canaries;
mod logged;
