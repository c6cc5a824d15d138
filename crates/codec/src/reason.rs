//! Why a record was refused: stable codes, part of the public interface of `p.rejected`.

/// The value is null (a tombstone).
pub const VALUE_NULL: &str = "value.null";
/// The value is not UTF-8.
pub const JSON_ENCODING: &str = "json.encoding";
/// The value is not one complete JSON value.
pub const JSON_SYNTAX: &str = "json.syntax";
/// The value is JSON but not an object.
pub const JSON_TYPE: &str = "json.type";
/// A required column is missing or null.
pub const FIELD_MISSING: &str = "field.missing";
/// A column holds a value of another type.
pub const FIELD_TYPE: &str = "field.type";
/// There is no usable event id.
pub const ID_MISSING: &str = "id.missing";
/// There is no time.
pub const TIME_MISSING: &str = "time.missing";
/// The time cannot be read.
pub const TIME_TYPE: &str = "time.type";
/// A label record has no label.
pub const LABEL_MISSING: &str = "label.missing";
/// The label is not one of the declared classes.
pub const LABEL_UNKNOWN_CLASS: &str = "label.unknown_class";
/// The label is a number too large to be represented.
pub const LABEL_NOT_FINITE: &str = "label.not_finite";

/// A record that was set apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its index in the raw batch.
    pub index: u32,
    /// One of this module's codes.
    pub reason: &'static str,
    /// For a person: the thing, the value found, what was expected.
    pub detail: String,
}

/// Reason and detail before the index is known.
pub(crate) type Refusal = (&'static str, String);

/// At most 64 characters of a value, for a detail.
pub(crate) fn excerpt(text: &str) -> &str {
    text.char_indices().nth(64).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
