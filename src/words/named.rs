//! Enums whose values have words, under which they are stored and printed.

/// Gives an enum `as_str`, `parse` and `Display` by one table of its words.
macro_rules! named {
    ($kind:ident: $($value:ident = $word:literal),*) => {
        impl $kind {
            /// Returns the word under which it is stored and printed.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($kind::$value => $word,)*
                }
            }

            /// Reads such a word; `None` for any other text.
            pub(crate) fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some($kind::$value),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use named;
