//! Ranges of schema versions.

use crate::words::Headers;
use crate::words::envelope::{SCHEMA_VERSION, schema_version};
use std::ops::{Bound, RangeBounds};

/// The version of a message that says none.
const UNSAID: u32 = 0;

/// The versions that a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    /// The first and the last one. Wider than a version, so that what is excluded has a neighbour.
    from: i64,
    to: i64,
    /// Whether nobody asked for any version.
    are_all: bool,
}

impl Versions {
    /// All of them, and what is no version, too.
    pub(crate) const ALL: Versions = Versions {
        from: 0,
        to: i64::MAX,
        are_all: true,
    };

    pub(crate) fn of(range: &impl RangeBounds<u32>) -> Self {
        let from = match range.start_bound() {
            Bound::Included(&version) => i64::from(version),
            Bound::Excluded(&version) => i64::from(version) + 1,
            Bound::Unbounded => Versions::ALL.from,
        };
        let to = match range.end_bound() {
            Bound::Included(&version) => i64::from(version),
            Bound::Excluded(&version) => i64::from(version) - 1,
            Bound::Unbounded => Versions::ALL.to,
        };
        let bounds = (range.start_bound(), range.end_bound());
        let are_all = matches!(bounds, (Bound::Unbounded, Bound::Unbounded));
        Versions { from, to, are_all }
    }

    pub(crate) fn are_all(self) -> bool {
        self.are_all
    }

    pub(crate) fn are_none(self) -> bool {
        self.from > self.to.min(i64::from(u32::MAX))
    }

    pub(crate) fn contains(self, version: u32) -> bool {
        (self.from..=self.to).contains(&i64::from(version))
    }
}

/// Returns the version that a message says it has; `None` where what it says is no version.
pub(crate) fn version_of(headers: &Headers) -> Option<u32> {
    match headers.contains_key(SCHEMA_VERSION) {
        true => schema_version(headers),
        false => Some(UNSAID),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: impl RangeBounds<u32>, within: &[u32], outside: &[u32]) {
        let versions = Versions::of(&range);
        assert!(!versions.are_none());
        for &version in within {
            assert!(versions.contains(version), "{version}");
        }
        for &version in outside {
            assert!(!versions.contains(version), "{version}");
        }
    }

    #[test]
    fn ranges_of_all_kinds_hold_what_they_say() {
        check(2..=3, &[2, 3], &[0, 1, 4, u32::MAX]);
        check(2..4, &[2, 3], &[1, 4]);
        check(2.., &[2, u32::MAX], &[0, 1]);
        check(..2, &[0, 1], &[2]);
        check(..=2, &[0, 2], &[3]);
        check(.., &[0, 1, u32::MAX], &[]);
        check((Bound::Excluded(2), Bound::Unbounded), &[3], &[2]);
        check(0..=0, &[0], &[1]);
        check(u32::MAX.., &[u32::MAX], &[0]);
    }

    #[test]
    fn a_range_that_holds_nothing_is_known() {
        let max = u32::MAX;
        assert!(Versions::of(&(..0)).are_none());
        assert!(Versions::of(&(3..3)).are_none());
        let backwards = (Bound::Included(3), Bound::Included(2));
        assert!(Versions::of(&backwards).are_none());
        let beyond = (Bound::Excluded(max), Bound::Unbounded);
        assert!(Versions::of(&beyond).are_none());
    }

    #[test]
    fn only_no_wish_at_all_takes_what_is_no_version() {
        assert!(Versions::of(&(..)).are_all());
        assert!(!Versions::of(&(0..)).are_all());
        let headers = |text: &str| Headers::from([(SCHEMA_VERSION.to_owned(), text.to_owned())]);
        assert_eq!(version_of(&Headers::new()), Some(0));
        assert_eq!(version_of(&headers("7")), Some(7));
        for text in ["", "two", "-1", "1.0", " 1", "4294967296", "٣"] {
            assert_eq!(version_of(&headers(text)), None, "{text:?}");
        }
    }
}
