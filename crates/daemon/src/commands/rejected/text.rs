//! Foreign bytes made fit for a terminal.

use std::io::Write;

/// Bytes of a line of a dump.
const DUMP_WIDTH: usize = 16;

/// Text on one line: what would move a cursor is escaped.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// A key or header on one line: its text, or its bytes in hexadecimal.
pub(super) fn short(bytes: Option<&[u8]>) -> String {
    match bytes.map(|b| (b, std::str::from_utf8(b))) {
        None => "(none)".to_owned(),
        Some((_, Ok(text))) => one_line(text),
        Some((bytes, Err(_))) => bytes.iter().fold("0x".to_owned(), |line, byte| line + &format!("{byte:02x}")),
    }
}

/// The bytes as text, if they are text that only goes forward.
fn legible(bytes: &[u8]) -> Option<&str> {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(is_plain))
}

/// Writes a value: text as it is, else a dump of place, bytes and their letters.
pub(super) fn write_value(out: &mut impl Write, value: &[u8]) -> std::io::Result<()> {
    if let Some(text) = legible(value) {
        return writeln!(out, "{text}");
    }
    for (line, bytes) in value.chunks(DUMP_WIDTH).enumerate() {
        write!(out, "{:08x} ", line * DUMP_WIDTH)?;
        for place in 0..DUMP_WIDTH {
            match bytes.get(place) {
                Some(byte) => write!(out, " {byte:02x}")?,
                None => write!(out, "   ")?,
            }
        }
        let letters: String =
            bytes.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' }).collect();
        writeln!(out, "  {letters}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{one_line, short, write_value};

    #[test]
    fn foreign_bytes_cannot_move_the_cursor() {
        assert_eq!(one_line("é\n\u{1b}[2J"), "é\\n\\u{1b}[2J");
        assert_eq!(short(Some(b"a\tb")), "a\\tb");
        assert_eq!(short(Some(b"\xff\0")), "0xff00");
        assert_eq!(short(None), "(none)");
    }

    #[test]
    fn a_value_is_text_or_a_dump() {
        let check = |value: &[u8], expected: &str| {
            let mut out = Vec::new();
            write_value(&mut out, value).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check("{\"a\":\n\"é\"}".as_bytes(), "{\"a\":\n\"é\"}\n");
        check(b"", "\n");
        check(
            b"\x1b[2J {not text}\xff\x00",
            "00000000  1b 5b 32 4a 20 7b 6e 6f 74 20 74 65 78 74 7d ff  .[2J {not text}.\n\
             00000010  00                                               .\n",
        );
    }
}
