//! The `log_format` directives of an `nginx.conf`.

use super::{Escaping, LogFormatError};
use crate::access::limits::NGINX_CONF_BYTES;

/// A directive that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) escaping: Escaping,
    /// Its pieces put together, quotes and escapes undone.
    pub(super) text: String,
}

/// A piece of the configuration.
enum Token {
    Word(String),
    /// `;`, `{` or `}`.
    End,
}

/// The next word, as nginx takes them: quoted or not, with a few escapes, comments left out.
fn token(rest: &mut &str) -> Option<Token> {
    loop {
        *rest = rest.trim_start();
        let first = rest.chars().next()?;
        match first {
            '#' => *rest = rest.split_once('\n').map_or("", |(_, behind)| behind),
            ';' | '{' | '}' => {
                *rest = &rest[1..];
                return Some(Token::End);
            }
            '"' | '\'' => {
                *rest = &rest[1..];
                return Some(word(rest, |letter| letter == first, true));
            }
            _ => {
                let ends = |letter: char| letter.is_whitespace() || matches!(letter, ';' | '{');
                return Some(word(rest, ends, false));
            }
        }
    }
}

fn word(rest: &mut &str, ends: impl Fn(char) -> bool, quoted: bool) -> Token {
    let mut text = String::new();
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        // `${name}` is no block.
        let in_name = letter == '{' && text.ends_with('$');
        if ends(letter) && !in_name {
            let used = at + usize::from(quoted);
            *rest = &rest[used..];
            return Token::Word(text);
        }
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some((_, 't')) => text.push('\t'),
            Some((_, 'n')) => text.push('\n'),
            Some((_, 'r')) => text.push('\r'),
            Some((_, escaped @ ('"' | '\'' | '\\'))) => text.push(escaped),
            Some((_, other)) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    *rest = "";
    Token::Word(text)
}

/// All `log_format` directives, in order.
pub(super) fn log_formats(conf: &str) -> Result<Vec<Found>, LogFormatError> {
    if conf.len() > NGINX_CONF_BYTES {
        return Err(LogFormatError::TooLong {
            bytes: conf.len(),
            limit: NGINX_CONF_BYTES,
        });
    }
    let mut found = Vec::new();
    let mut rest = conf;
    let mut words: Vec<String> = Vec::new();
    while let Some(token) = token(&mut rest) {
        match token {
            Token::Word(word) => words.push(word),
            Token::End => {
                if let [directive, name, pieces @ ..] = words.as_slice()
                    && directive == "log_format"
                {
                    found.push(directive_of(name, pieces));
                }
                words.clear();
            }
        }
    }
    Ok(found)
}

fn directive_of(name: &str, pieces: &[String]) -> Found {
    let (escaping, pieces) = match pieces.first().map(String::as_str) {
        Some("escape=json") => (Escaping::Json, &pieces[1..]),
        Some("escape=none") => (Escaping::None, &pieces[1..]),
        Some("escape=default") => (Escaping::Default, &pieces[1..]),
        _ => (Escaping::Default, pieces),
    };
    Found {
        name: name.to_owned(),
        escaping,
        text: pieces.concat(),
    }
}
