//! Arrow columns as numbers or categories.

use crate::Error;
use crate::recipe::ColumnKind;
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType};
use serde::{Deserialize, Serialize};

/// What a column is to the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Floats, integers, decimals, and durations as milliseconds.
    Numeric,
    /// False is 0, true is 1.
    Boolean,
    /// Epoch milliseconds.
    Timestamp,
    /// Text.
    Category,
}

impl Kind {
    /// The kind of a column of this type; `None` if no feature can be made of it.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Boolean => Some(Self::Boolean),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Some(Self::Timestamp),
            DataType::Utf8 => Some(Self::Category),
            DataType::Duration(_) => Some(Self::Numeric),
            number if number.is_numeric() => Some(Self::Numeric),
            _ => None,
        }
    }

    /// Whether a step for all columns of a kind means a column of this one.
    pub(crate) fn is(self, named: ColumnKind) -> bool {
        match named {
            ColumnKind::Numeric => self == Self::Numeric,
            ColumnKind::Category => self == Self::Category,
            ColumnKind::Boolean => self == Self::Boolean,
            ColumnKind::All => true,
        }
    }

    /// Its name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Numeric => "numeric",
            Self::Boolean => "boolean",
            Self::Timestamp => "timestamp",
            Self::Category => "category",
        }
    }
}

/// Each value of the column through `f`; NaN for a missing one.
pub(crate) fn map_numbers<T>(column: &str, array: &ArrayRef, f: impl Fn(f64) -> T) -> Result<Vec<T>, Error> {
    let broken = |detail: String| Error::Internal { column: column.to_owned(), detail };
    let array = canonical(array).map_err(|e| broken(e.to_string()))?;
    if let Some(values) = array.as_primitive_opt::<Float64Type>() {
        return Ok(map_primitive(values, |x| x, f));
    }
    if let Some(values) = array.as_primitive_opt::<Int64Type>() {
        return Ok(map_primitive(values, |x| x as f64, f));
    }
    if let Some(values) = array.as_primitive_opt::<TimestampMillisecondType>() {
        return Ok(map_primitive(values, |x| x as f64, f));
    }
    if let Some(values) = array.as_boolean_opt() {
        return Ok(values.iter().map(|b| f(b.map_or(f64::NAN, |b| f64::from(u8::from(b))))).collect());
    }
    Err(broken(format!("type {}, expected numbers", array.data_type())))
}

/// The same values in one of the types that [`map_numbers`] reads directly.
fn canonical(array: &ArrayRef) -> Result<ArrayRef, arrow::error::ArrowError> {
    match array.data_type() {
        DataType::Float64 | DataType::Int64 | DataType::Boolean | DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Ok(ArrayRef::clone(array))
        }
        DataType::Timestamp(_, zone) => cast(array, &DataType::Timestamp(TimeUnit::Millisecond, zone.clone())),
        DataType::Date32 | DataType::Date64 => cast(array, &DataType::Timestamp(TimeUnit::Millisecond, None)),
        DataType::Duration(_) => cast(&cast(array, &DataType::Duration(TimeUnit::Millisecond))?, &DataType::Int64),
        _ => cast(array, &DataType::Float64),
    }
}

fn map_primitive<P: ArrowPrimitiveType, T>(
    array: &PrimitiveArray<P>,
    number: impl Fn(P::Native) -> f64,
    f: impl Fn(f64) -> T,
) -> Vec<T> {
    if array.null_count() == 0 {
        return array.values().iter().map(|&x| f(number(x))).collect();
    }
    array.iter().map(|x| f(x.map_or(f64::NAN, &number))).collect()
}

/// The texts of a category column.
pub(crate) fn texts<'a>(
    column: &str,
    array: &'a ArrayRef,
) -> Result<impl Iterator<Item = Option<&'a str>> + use<'a>, Error> {
    match array.as_string_opt::<i32>() {
        Some(texts) => Ok(texts.iter()),
        None => {
            let detail = format!("type {}, expected text", array.data_type());
            Err(Error::Internal { column: column.to_owned(), detail })
        }
    }
}
