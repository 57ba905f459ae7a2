//! What a route may be given as its patterns.

/// One pattern, or several, as [`Router::on`](crate::Router::on) takes them: a text, or an array,
/// a slice or a vector of texts. Cannot be implemented for other types.
pub trait Patterns: sealed::Sealed {
    /// Returns the patterns, in order.
    #[doc(hidden)]
    fn into_patterns(self) -> Vec<String>;
}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for &str {}
impl Patterns for &str {
    fn into_patterns(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl sealed::Sealed for String {}
impl Patterns for String {
    fn into_patterns(self) -> Vec<String> {
        vec![self]
    }
}

impl sealed::Sealed for &String {}
impl Patterns for &String {
    fn into_patterns(self) -> Vec<String> {
        vec![self.clone()]
    }
}

impl<S: AsRef<str>, const N: usize> sealed::Sealed for [S; N] {}
impl<S: AsRef<str>, const N: usize> Patterns for [S; N] {
    fn into_patterns(self) -> Vec<String> {
        texts(&self)
    }
}

impl<S: AsRef<str>> sealed::Sealed for &[S] {}
impl<S: AsRef<str>> Patterns for &[S] {
    fn into_patterns(self) -> Vec<String> {
        texts(self)
    }
}

impl<S: AsRef<str>> sealed::Sealed for Vec<S> {}
impl<S: AsRef<str>> Patterns for Vec<S> {
    fn into_patterns(self) -> Vec<String> {
        texts(&self)
    }
}

fn texts<S: AsRef<str>>(all: &[S]) -> Vec<String> {
    all.iter().map(|one| one.as_ref().to_owned()).collect()
}
