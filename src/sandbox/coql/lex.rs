//! A COQL text as tokens, each with the place that an error message names.

use serde_json::json;

use crate::sandbox::problem::Problem;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    Quoted,
    Symbol,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Token {
    /// Whether it is that keyword, in any case.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is that symbol.
    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// It has no business here.
    pub(super) fn unexpected(&self) -> Problem {
        let near: String = self.text.chars().take(60).collect();
        let details = json!({"line": self.line, "column": self.column, "near": near});
        Problem::bad("SYNTAX_ERROR", details, "unexpected token")
    }
}

/// All tokens of a text.
pub(super) fn tokens(text: &str, backslash: bool) -> Result<Vec<Token>, Problem> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
        column: 1,
        backslash,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
    /// Whether it escapes.
    backslash: bool,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Option<Token>, Problem> {
        let blank = self.rest.len() - self.rest.trim_start().len();
        self.take(blank);
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        let (line, column) = (self.line, self.column);
        let token = |kind, text| Token {
            kind,
            text,
            line,
            column,
        };
        Ok(Some(match first {
            '\'' | '"' => token(Kind::Quoted, self.quoted(first)?),
            _ if first.is_ascii_digit() || (first == '-' && self.digit_after_sign()) => token(
                Kind::Number,
                self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')),
            ),
            _ if is_word(first) => token(Kind::Word, self.run(is_word)),
            _ => token(Kind::Symbol, self.symbol()?),
        }))
    }

    /// A text in quotes: the quote doubled, or after a backslash that escapes, stands for itself.
    fn quoted(&mut self, quote: char) -> Result<String, Problem> {
        let opening = Token {
            kind: Kind::Quoted,
            text: self.rest.chars().take(60).collect(),
            line: self.line,
            column: self.column,
        };
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1).peekable();
        while let Some((at, letter)) = chars.next() {
            match letter {
                '\\' if self.backslash => text.extend(chars.next().map(|(_, next)| next)),
                _ if letter == quote => {
                    if chars.next_if(|(_, next)| *next == quote).is_none() {
                        self.take(at + quote.len_utf8());
                        return Ok(text);
                    }
                    text.push(quote);
                }
                _ => text.push(letter),
            }
        }
        Err(opening.unexpected())
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn symbol(&mut self) -> Result<String, Problem> {
        let known = SYMBOLS
            .iter()
            .find(|symbol| self.rest.starts_with(**symbol));
        match known {
            Some(symbol) => Ok(self.take(symbol.len())),
            None => {
                let text = self.rest.chars().take(1).collect();
                Err(Token {
                    kind: Kind::Symbol,
                    text,
                    line: self.line,
                    column: self.column,
                }
                .unexpected())
            }
        }
    }

    fn digit_after_sign(&self) -> bool {
        self.rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit())
    }

    fn take(&mut self, bytes: usize) -> String {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for letter in taken.chars() {
            (self.line, self.column) = if letter == '\n' {
                (self.line + 1, 1)
            } else {
                (self.line, self.column + 1)
            };
        }
        self.rest = rest;
        taken.to_owned()
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$' | '#')
}

/// Longer ones first.
const SYMBOLS: &[&str] = &[
    "!=", "<>", ">=", "<=", "=", ">", "<", "(", ")", ",", "*", ";",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_double_and_escape() {
        let texts = |text| {
            tokens(text, true)
                .unwrap()
                .into_iter()
                .map(|t| t.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            texts("'O''Neil' 'a\\'b' \"x\"\"y\""),
            ["O'Neil", "a'b", "x\"y"]
        );
        assert_eq!(texts("A.b>=-1.5"), ["A.b", ">=", "-1.5"]);
    }

    #[test]
    fn tokens_know_their_place() {
        let all = tokens("select id\n  FROM Deals", true).unwrap();
        assert_eq!((all[2].line, all[2].column), (2, 3));
        assert!(all[2].is("from"));
        assert_eq!(tokens("'open", true).unwrap_err().code, "SYNTAX_ERROR");
        assert_eq!(tokens("a ~ b", true).unwrap_err().details["near"], "~");
    }
}
