//! Nothing: a package has to have a library, and all of this one is in its examples.
