//! Tells the words of an SQL text from its comments and string literals.

/// A word, a number, a parameter, `::`, or a single sign.
pub(super) struct Token<'a> {
    pub(super) line: usize,
    pub(super) text: &'a str,
}

impl Token<'_> {
    /// Returns whether it is this keyword, in capitals or not.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.text.eq_ignore_ascii_case(keyword)
    }

    /// Returns whether it is this column, with or without its table's name before it.
    pub(super) fn is_column(&self, column: &str) -> bool {
        self.text.rsplit('.').next() == Some(column)
    }
}

/// Returns whether these keywords begin the tokens.
pub(super) fn begin_with(tokens: &[Token<'_>], keywords: &[&str]) -> bool {
    tokens.len() >= keywords.len()
        && tokens
            .iter()
            .zip(keywords)
            .all(|(token, keyword)| token.is(keyword))
}

/// Returns the tokens of a text. String literals are the token `''`; the bodies of functions are
/// taken for SQL.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let rest = &text[at..];
        let length = token_length(rest);
        let token = &rest[..length];
        let is_comment = token.starts_with("--") || token.starts_with("/*");
        let is_dollar_quote = token.starts_with('$') && token.ends_with('$');
        if token.starts_with('\'') {
            tokens.push(Token { line, text: "''" });
        } else if !is_comment && !is_dollar_quote && !token.trim().is_empty() {
            tokens.push(Token { line, text: token });
        }
        line += token.matches('\n').count();
        at += length;
    }
    tokens
}

fn token_length(rest: &str) -> usize {
    let first = rest.chars().next().expect("there is a rest");
    let through = |end: &str, from: usize| {
        let found = rest[from..].find(end);
        found.map_or(rest.len(), |found| from + found + end.len())
    };
    let run = |from: usize, belongs: fn(char) -> bool| {
        let found = rest[from..].find(|c| !belongs(c));
        found.map_or(rest.len(), |found| from + found)
    };
    match first {
        '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
        '/' if rest.starts_with("/*") => through("*/", 2),
        ':' if rest.starts_with("::") => 2,
        '\'' => through("'", 1),
        '"' => through("\"", 1),
        '$' => {
            let name = run(1, |c| c.is_alphanumeric() || c == '_');
            let is_quote = !rest[1..].starts_with(|c: char| c.is_ascii_digit());
            if is_quote && rest[name..].starts_with('$') {
                name + 1
            } else {
                name
            }
        }
        c if c.is_alphanumeric() || c == '_' => {
            run(0, |c| c.is_alphanumeric() || matches!(c, '_' | '.'))
        }
        c if c.is_whitespace() => run(0, char::is_whitespace),
        c => c.len_utf8(),
    }
}

#[test]
fn tokens_are_words_and_signs_without_comments_and_strings() {
    let text = "-- SELECT $1\nSELECT m.topic, $12::text[] /* x\n*/ FROM \"T\" WHERE a = 'it''s;' AS $body$ b $$";

    let tokens = tokens(text);

    let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
    let expected = "SELECT m.topic , $12 :: text [ ] FROM \"T\" WHERE a = '' '' AS b";
    assert_eq!(texts.join(" "), expected);
    assert_eq!((tokens[0].line, tokens[8].line), (2, 3));
    assert!(tokens[1].is_column("topic") && tokens[0].is("select"));
}
