//! Typed buffers: one per declared column, filled row by row, turned into Arrow at a batch's end.

use crate::Error;
use crate::format::TimeUnit;
use crate::reason::{FIELD_MISSING, FIELD_TYPE, Refusal, excerpt};
use crate::scan::{Slot, unescape};
use crate::time;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use domain::{Field, FieldType};
use std::mem;
use std::sync::Arc;

/// Strings end to end.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Texts {
    pub(crate) fn push(&mut self, text: &[u8], escaped: bool) {
        if escaped {
            unescape(text, &mut self.bytes);
        } else {
            self.bytes.extend_from_slice(text);
        }
        // Batches are below 2 GiB, and text never grows on the way here.
        self.ends.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        let end = self.ends.last().and_then(|end| usize::try_from(*end).ok());
        self.bytes.truncate(end.unwrap_or(0));
    }

    /// The strings as an array; the buffers are empty afterwards.
    pub(crate) fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<StringArray, Error> {
        let (ends, bytes) = (self.ends.len(), self.bytes.len());
        let mut offsets = Vec::with_capacity(ends + 1);
        offsets.push(0);
        offsets.append(&mut self.ends);
        let filled = mem::replace(&mut self.bytes, Vec::with_capacity(bytes));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        StringArray::try_new(offsets, Buffer::from_vec(filled), nulls).map_err(|e| Error::Arrow(e.to_string()))
    }
}

#[derive(Debug)]
enum Values {
    Floats(Vec<f64>),
    Integers(Vec<i64>),
    Booleans(Vec<bool>),
    Times(Vec<i64>),
    Texts(Texts),
}

/// One declared column.
#[derive(Debug)]
pub(crate) struct Column {
    field: Field,
    pub(crate) slot: usize,
    values: Values,
    valid: Vec<bool>,
}

impl Column {
    pub(crate) fn new(field: &Field, slot: usize) -> Self {
        let values = match field.field_type {
            FieldType::Category => Values::Texts(Texts::default()),
            FieldType::Float => Values::Floats(Vec::new()),
            FieldType::Integer => Values::Integers(Vec::new()),
            FieldType::Boolean => Values::Booleans(Vec::new()),
            FieldType::Timestamp => Values::Times(Vec::new()),
        };
        Self { field: field.clone(), slot, values, valid: Vec::new() }
    }

    /// Appends a value; after an error [`Column::truncate`] must follow.
    pub(crate) fn push(&mut self, slot: Slot, message: &str) -> Result<(), Refusal> {
        if matches!(slot, Slot::Missing | Slot::Null) {
            return self.push_null(slot);
        }
        let pushed = match &mut self.values {
            Values::Floats(values) => number(slot, message).and_then(float).map(|v| values.push(v)),
            Values::Integers(values) => number(slot, message).and_then(time::integer).map(|v| values.push(v)),
            Values::Booleans(values) => boolean(slot).map(|v| values.push(v)),
            Values::Times(values) => timestamp(slot, message).map(|v| values.push(v)),
            Values::Texts(values) => text(slot, message).map(|(v, escaped)| values.push(v.as_bytes(), escaped)),
        };
        match pushed {
            Some(()) => {
                self.valid.push(true);
                Ok(())
            }
            None => Err((FIELD_TYPE, self.mismatch(slot, message))),
        }
    }

    fn push_null(&mut self, slot: Slot) -> Result<(), Refusal> {
        if self.field.required {
            let found = if slot == Slot::Null { "null" } else { "missing" };
            return Err((FIELD_MISSING, format!("column `{}` is {found} but required", self.field.name)));
        }
        match &mut self.values {
            Values::Floats(values) => values.push(0.0),
            Values::Integers(values) | Values::Times(values) => values.push(0),
            Values::Booleans(values) => values.push(false),
            Values::Texts(values) => values.push(b"", false),
        }
        self.valid.push(false);
        Ok(())
    }

    fn mismatch(&self, slot: Slot, message: &str) -> String {
        let expected = match self.field.field_type {
            FieldType::Category => "text, a number or a boolean",
            FieldType::Float => "a finite number",
            FieldType::Integer => "a 64-bit integer without fraction or exponent",
            FieldType::Boolean => "true or false",
            FieldType::Timestamp => "RFC 3339 text or epoch milliseconds",
        };
        format!("column `{}` holds {}, expected {expected}", self.field.name, found(slot, message))
    }

    /// Drops what was appended beyond a number of rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.valid.truncate(rows);
        match &mut self.values {
            Values::Floats(values) => values.truncate(rows),
            Values::Integers(values) | Values::Times(values) => values.truncate(rows),
            Values::Booleans(values) => values.truncate(rows),
            Values::Texts(values) => values.truncate(rows),
        }
    }

    /// The column as an array; the buffers are empty afterwards.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, Error> {
        let nulls = Some(NullBuffer::from(self.valid.as_slice())).filter(|n| n.null_count() > 0);
        self.valid.clear();
        let array: ArrayRef = match &mut self.values {
            Values::Floats(values) => Arc::new(Float64Array::new(take(values).into(), nulls)),
            Values::Integers(values) => Arc::new(Int64Array::new(take(values).into(), nulls)),
            Values::Times(values) => {
                Arc::new(TimestampMillisecondArray::new(take(values).into(), nulls).with_timezone("UTC"))
            }
            Values::Booleans(values) => {
                let array = BooleanArray::new(values.as_slice().into(), nulls);
                values.clear();
                Arc::new(array)
            }
            Values::Texts(values) => Arc::new(values.finish(nulls)?),
        };
        Ok(array)
    }
}

/// What a buffer holds, leaving an empty one of the same capacity: batches are alike in size.
fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let capacity = values.len();
    mem::replace(values, Vec::with_capacity(capacity))
}

/// Text of a number.
pub(crate) fn number(slot: Slot, message: &str) -> Option<&str> {
    match slot {
        Slot::Number(start, end) => message.get(start..end),
        _ => None,
    }
}

/// A finite number.
pub(crate) fn float(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

fn boolean(slot: Slot) -> Option<bool> {
    match slot {
        Slot::Boolean(value) => Some(value),
        _ => None,
    }
}

fn timestamp(slot: Slot, message: &str) -> Option<i64> {
    let unit = if matches!(slot, Slot::Number(..)) { TimeUnit::Milliseconds } else { TimeUnit::Rfc3339 };
    time::read(slot, message, unit)
}

/// Text, or a number or boolean as written; with it whether there are escapes to resolve.
pub(crate) fn text(slot: Slot, message: &str) -> Option<(&str, bool)> {
    match slot {
        Slot::Text { start, end, escaped } => Some((message.get(start..end)?, escaped)),
        Slot::Number(start, end) => Some((message.get(start..end)?, false)),
        Slot::Boolean(true) => Some(("true", false)),
        Slot::Boolean(false) => Some(("false", false)),
        _ => None,
    }
}

/// A value as a detail names it.
pub(crate) fn found(slot: Slot, message: &str) -> String {
    match slot {
        Slot::Missing => "nothing".to_owned(),
        Slot::Null => "null".to_owned(),
        Slot::Object => "an object".to_owned(),
        Slot::Array => "an array".to_owned(),
        Slot::Text { start, end, .. } => {
            format!("text \"{}\"", excerpt(message.get(start..end).unwrap_or_default()))
        }
        _ => text(slot, message).map(|(text, _)| excerpt(text).to_owned()).unwrap_or_default(),
    }
}
