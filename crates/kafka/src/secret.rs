//! Values that are never shown.

use std::fmt;

/// A password, key or the like. It cannot be printed or serialised by accident: only
/// [`Secret::reveal`] gives it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the client that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_does_not_show_in_any_print() {
        let secret = Secret::new("hunter2".to_owned());
        let mut connection = crate::Connection::to("localhost:9092");
        connection.secrets.insert("sasl.password".to_owned(), secret.clone());
        for print in [format!("{secret}"), format!("{secret:?}"), format!("{connection:?}")] {
            assert!(print.contains("(hidden)") && !print.contains("hunter2"), "{print}");
        }
        assert_eq!(secret.reveal(), "hunter2");
    }
}
