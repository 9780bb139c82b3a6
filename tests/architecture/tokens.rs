//! Splits Rust source into the tokens that the rules look at.

/// A word, `::` or one sign.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::`, and single characters; comments, strings, characters and lifetimes vanish.
pub(crate) fn tokenize(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut at, mut line, mut tokens) = (0, 1, Vec::new());
    while at < chars.len() {
        let end = token_end(&chars, at);
        let piece: String = chars[at..end].iter().collect();
        let kept = is_word(&piece) && !is_literal(&piece) || piece == "::" || is_sign(&piece);
        if kept {
            tokens.push(Token {
                line,
                text: piece.trim_start_matches("r#").to_owned(),
            });
        }
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

fn is_literal(piece: &str) -> bool {
    piece.contains('"') || piece.contains('\'')
}

fn is_sign(piece: &str) -> bool {
    piece.len() == 1 && "{}()[];,.*!#&<>=".contains(piece)
}

fn token_end(chars: &[char], at: usize) -> usize {
    let next = |offset: usize| chars.get(at + offset).copied().unwrap_or('\0');
    let to = |found: usize| found.min(chars.len());
    match (chars[at], next(1)) {
        ('/', '/') => to((at..chars.len())
            .find(|i| chars[*i] == '\n')
            .unwrap_or(chars.len())),
        ('/', '*') => block_comment(chars, at),
        ('"', _) => string_end(chars, at + 1),
        ('\'', '\\') => to((at + 3..chars.len())
            .find(|i| chars[*i] == '\'')
            .unwrap_or(chars.len())
            + 1),
        ('\'', _) if next(2) == '\'' => at + 3,
        (':', ':') => at + 2,
        (c, _) if c.is_alphanumeric() || c == '_' => {
            let word = (at..chars.len()).find(|i| !chars[*i].is_alphanumeric() && chars[*i] != '_');
            let end = word.unwrap_or(chars.len());
            let prefix: String = chars[at..end].iter().collect();
            match (prefix.as_str(), chars.get(end)) {
                ("b" | "c", Some('"')) => string_end(chars, end + 1),
                ("b", Some('\'')) => token_end(chars, end),
                ("r" | "br" | "cr", Some('"' | '#')) => raw_string_end(chars, end),
                _ => end,
            }
        }
        _ => at + 1,
    }
}

fn block_comment(chars: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// `at` is the first `#` or `"` after the `r`; a raw identifier ends like a word.
fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    if chars.get(at + hashes) != Some(&'"') {
        let word = |i: &usize| !chars[*i].is_alphanumeric() && chars[*i] != '_';
        return (at + hashes..chars.len()).find(word).unwrap_or(chars.len());
    }
    let closes = |i: &usize| {
        chars[*i] == '"' && chars[i + 1..].iter().take_while(|c| **c == '#').count() >= hashes
    };
    (at + hashes + 1..chars.len())
        .find(closes)
        .map_or(chars.len(), |quote| quote + 1 + hashes)
}
