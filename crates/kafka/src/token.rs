//! Tokens for OAUTHBEARER, from a file that somebody else keeps fresh.

use rdkafka::client::OAuthToken;
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// A token that does not say how long it lasts is read again after most of this.
const UNKNOWN_LIFETIME_MS: i64 = 60_000;
/// The file is read anew at least this often: a longer life would only be trusted longer.
const LIFETIME_MAX_MS: i64 = 86_400_000;
/// Far more than any token; who names a wrong file should hear so at once.
const BYTES_MAX: u64 = 64 << 10;

/// Reads the token that is in the file now. A message about it never holds a part of it.
pub(crate) fn read(path: &Path, now_ms: i64) -> Result<OAuthToken, String> {
    let place = path.display();
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|e| format!("the token file `{place}` cannot be read: {e}"))?;
    let token = text.trim();
    // What the client takes for a token: the characters that its message to the broker may hold.
    if token.is_empty() || text.len() as u64 > BYTES_MAX || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "the token file `{place}` holds {} bytes that are no token; expected one, as in a JWT, without spaces",
            text.len()
        ));
    }
    let claims = claims(token).unwrap_or_default();
    let lifetime_ms = match claims.get("exp").and_then(Value::as_f64) {
        // A conversion to a whole number ends at its bounds.
        Some(seconds) => (seconds * 1000.0) as i64,
        None => now_ms.saturating_add(UNKNOWN_LIFETIME_MS),
    };
    if lifetime_ms <= now_ms {
        let ago_s = now_ms.saturating_sub(lifetime_ms) / 1000;
        return Err(format!("the token in `{place}` expired {ago_s} s ago; expected a fresh one"));
    }
    let subject = claims.get("sub").and_then(Value::as_str).filter(|s| !s.is_empty() && !s.contains('\0'));
    Ok(OAuthToken {
        token: token.to_owned(),
        principal_name: subject.unwrap_or("vigie").to_owned(),
        lifetime_ms: lifetime_ms.min(now_ms.saturating_add(LIFETIME_MAX_MS)),
    })
}

/// The claims of a JWT; `None` if it is none. Nothing is verified: that is the broker's part.
fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    serde_json::from_slice(&base64url(claims)?).ok().filter(Value::is_object)
}

/// Decodes base64 in its form for addresses (RFC 4648, section 5), padded or not.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = ((bits << 6) | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(((bits >> count) & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{base64url, read};
    use std::io::Write;

    const NOW_MS: i64 = 1_700_000_000_000;

    /// Principal and remaining lifetime, or the fault.
    fn of(content: &[u8]) -> Result<(String, i64), String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let read = read(file.path(), NOW_MS)?;
        assert_eq!(read.token, String::from_utf8_lossy(content).trim());
        Ok((read.principal_name, read.lifetime_ms - NOW_MS))
    }

    /// An unsigned JWT of these claims.
    fn jwt(claims: &str) -> Vec<u8> {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut encoded = String::new();
        for three in claims.as_bytes().chunks(3) {
            let word =
                three.iter().fold(0_usize, |word, byte| (word << 8) | usize::from(*byte)) << (8 * (3 - three.len()));
            (0..=three.len()).for_each(|i| encoded.push(LETTERS[(word >> (18 - 6 * i)) & 63] as char));
        }
        format!("eyJhbGciOiJub25lIn0.{encoded}.\n").into_bytes()
    }

    #[test]
    fn base64url_is_decoded_as_the_standard_says() {
        // RFC 4648, section 10, and the two letters that differ from plain base64.
        for (text, bytes) in
            [("", &b""[..]), ("Zg", b"f"), ("Zm8=", b"fo"), ("Zm9vYmFy", b"foobar"), ("-_8", &[0xfb, 0xff])]
        {
            assert_eq!(base64url(text).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(base64url("a+b/"), None);
    }

    #[test]
    fn a_jwt_says_who_it_is_for_and_how_long_it_lasts() {
        let named = |name: &str, ms| Ok((name.to_owned(), ms));
        let (vigie, minute) = ("vigie", 60_000);
        assert_eq!(of(&jwt(r#"{"sub":"system:sa:p","exp":1700000600}"#)), named("system:sa:p", 600_000));
        assert_eq!(of(&jwt(r#"{"exp":1700000000.5}"#)), named(vigie, 500));
        assert_eq!(of(&jwt(r#"{"exp":1e300,"sub":3}"#)), named(vigie, 86_400_000));
        assert_eq!(of(&jwt(r#"{"sub":"a"}"#)), named("a", minute));
        assert_eq!(of(&jwt("[1]")), named(vigie, minute));
        for opaque in ["opaque", "a.b", "a.b.c.d", "..", "a.!.c"] {
            assert_eq!(of(opaque.as_bytes()), named(vigie, minute), "{opaque}");
        }
    }

    #[test]
    fn what_is_no_usable_token_is_said_without_showing_it() {
        let expired = of(&jwt(r#"{"exp":1699999990}"#)).unwrap_err();
        assert!(expired.contains("expired 10 s ago"), "{expired}");
        for content in [&b""[..], b"\n", b"two words", b"sec\0ret", b"\xff\xfe", &[b'a'; 70_000]] {
            let fault = of(content).unwrap_err();
            assert!(fault.contains("token file `/") && !fault.contains("words"), "{fault}");
        }
        let missing = read("/nowhere/token".as_ref(), NOW_MS).err().unwrap();
        assert!(missing.starts_with("the token file `/nowhere/token` cannot be read: No such file"), "{missing}");
    }
}
