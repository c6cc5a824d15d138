//! The JSON grammar (RFC 8259), one message at a time, without recursion into unknown values.

/// Deepest nesting of objects and arrays accepted: what `serde_json` accepts.
pub(crate) const DEPTH_MAX: usize = 127;

/// A value found in a message. Positions are byte offsets into the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Missing,
    Null,
    Boolean(bool),
    /// Text of the number.
    Number(usize, usize),
    /// Text between the quotes; `escaped` if it holds a backslash.
    Text {
        start: usize,
        end: usize,
        escaped: bool,
    },
    Object,
    Array,
}

/// The message is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) at: usize,
    pub(crate) expected: &'static str,
}

/// A place in a message that is known to be UTF-8.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(message: &'a str) -> Self {
        Self { bytes: message.as_bytes(), at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    pub(crate) fn fault<T>(&self, expected: &'static str) -> Result<T, Syntax> {
        Err(Syntax { at: self.at, expected })
    }

    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Passes blanks.
    pub(crate) fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Nothing but blanks may follow.
    pub(crate) fn end(&mut self) -> Result<(), Syntax> {
        self.blank();
        if self.at == self.bytes.len() { Ok(()) } else { self.fault("the end of the message") }
    }

    /// A key and its colon, with the blanks around them; returns the key.
    pub(crate) fn key(&mut self) -> Result<Slot, Syntax> {
        if self.peek() != Some(b'"') {
            return self.fault("a key in quotes");
        }
        let key = self.string()?;
        self.blank();
        if self.peek() != Some(b':') {
            return self.fault("a colon");
        }
        self.at += 1;
        self.blank();
        Ok(key)
    }

    /// Any value; `depth` containers are open around it.
    pub(crate) fn value(&mut self, depth: usize) -> Result<Slot, Syntax> {
        match self.peek() {
            Some(b'{') => self.skip(depth).map(|()| Slot::Object),
            Some(b'[') => self.skip(depth).map(|()| Slot::Array),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Result<Slot, Syntax> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true", Slot::Boolean(true)),
            Some(b'f') => self.literal(b"false", Slot::Boolean(false)),
            Some(b'n') => self.literal(b"null", Slot::Null),
            _ => self.fault("a value"),
        }
    }

    fn literal(&mut self, text: &[u8], slot: Slot) -> Result<Slot, Syntax> {
        if self.slice(self.at, self.at + text.len()) != text {
            return self.fault("true, false or null");
        }
        self.at += text.len();
        Ok(slot)
    }

    fn digits(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.fault("a digit") } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Slot, Syntax> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Slot::Number(start, self.at))
    }

    fn string(&mut self) -> Result<Slot, Syntax> {
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at = plain_until(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.fault("the end of a string"),
            }
        }
        let end = self.at;
        self.at += 1;
        Ok(Slot::Text { start, end, escaped })
    }

    fn escape(&mut self) -> Result<(), Syntax> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let Some((_, length)) = unicode_escape(self.slice(self.at, self.bytes.len())) else {
                    return self.fault("a unicode escape");
                };
                self.at += length;
                Ok(())
            }
            _ => self.fault("an escape"),
        }
    }

    /// Passes an object or array with all it holds. A bit per open container (1: object) stands
    /// for recursion, so that nesting costs no stack.
    fn skip(&mut self, depth: usize) -> Result<(), Syntax> {
        let (mut open, mut objects) = (0_usize, 0_u128);
        let mut first = true; // just behind an opening bracket: an item or the closing one
        let mut item = true; // an item may come here
        loop {
            self.blank();
            let byte = if open == 0 { self.peek() } else { self.after_key(objects & 1 == 1, item, first)? };
            match byte {
                Some(bracket @ (b'{' | b'[')) if item => {
                    if depth + open >= DEPTH_MAX {
                        return self.fault("less nesting");
                    }
                    open += 1;
                    objects = objects << 1 | u128::from(bracket == b'{');
                    self.at += 1;
                    first = true;
                }
                Some(b',') if !item => {
                    self.at += 1;
                    (item, first) = (true, false);
                }
                Some(bracket @ (b'}' | b']')) if !item || first => {
                    if (bracket == b'}') != (objects & 1 == 1) {
                        return self.fault("the other closing bracket");
                    }
                    self.at += 1;
                    open -= 1;
                    objects >>= 1;
                    (item, first) = (false, false);
                    if open == 0 {
                        return Ok(());
                    }
                }
                _ if item => {
                    self.scalar()?;
                    (item, first) = (false, false);
                }
                _ => return self.fault("a comma or a closing bracket"),
            }
        }
    }

    /// In an object, passes the key before an item; returns the byte that follows.
    fn after_key(&mut self, in_object: bool, item: bool, first: bool) -> Result<Option<u8>, Syntax> {
        let byte = self.peek();
        if in_object && item && !(first && byte == Some(b'}')) {
            self.key()?;
            // What follows a key must be a value: a bracket that closes would be one too early.
            return match self.peek() {
                Some(b'}' | b']' | b',') | None => self.fault("a value"),
                byte => Ok(byte),
            };
        }
        Ok(byte)
    }
}

/// First place from `at` on that holds a quote, a backslash or a control character. Eight bytes
/// at a time: the usual test for a zero byte (Mycroft) on the bytes xored with what is sought.
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    while let Some(Ok(eight)) = bytes.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(eight);
        let (quote, slash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5c));
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let found = found & TOPS;
        if found != 0 {
            // The lowest mark is exact; borrows can only make false ones above it.
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|b| *b >= 0x20 && *b != b'"' && *b != b'\\') {
        at += 1;
    }
    at
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

/// Character of a `\uXXXX` escape (or of two that form a surrogate pair) at the start of `bytes`,
/// and the length of the escape. A lone surrogate is none.
fn unicode_escape(bytes: &[u8]) -> Option<(char, usize)> {
    let unit = hex4(bytes.get(2..6)?)?;
    if (0xd800..0xdc00).contains(&unit) && bytes.get(6..8) == Some(b"\\u") {
        let low = hex4(bytes.get(8..12)?)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        return Some((char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + low)?, 12));
    }
    Some((char::from_u32(unit)?, 6))
}

/// Appends the text of a scanned string, escapes resolved.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(place) = rest.iter().position(|b| *b == b'\\') {
        let (plain, escape) = rest.split_at(place);
        out.extend_from_slice(plain);
        let simple = match escape.get(1) {
            Some(b'u') => {
                let (character, length) = unicode_escape(escape).unwrap_or(('\u{fffd}', 6));
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = escape.get(length..).unwrap_or_default();
                continue;
            }
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(other) => *other,
            None => break,
        };
        out.push(simple);
        rest = escape.get(2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}
