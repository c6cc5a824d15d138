//! The columns of two files, side by side.

use super::table::Table;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray};
use arrow::datatypes::{DataType, Float64Type};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Something of both files.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair<T> {
    pub(super) reference: T,
    pub(super) current: T,
}

/// A column of both files.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) values: Values,
}

/// Rows in the order of their file; null is missing.
#[derive(Debug)]
pub(super) enum Values {
    /// Integers, floats and decimals. What is not finite is missing.
    Numbers {
        samples: Pair<Float64Array>,
        /// Whether the current ones are of a signed integer type and all there: what a data frame
        /// would call an integer.
        are_integers: bool,
    },
    /// Categories.
    Booleans(Pair<BooleanArray>),
    /// Categories.
    Texts(Pair<StringArray>),
}

/// A column that is not compared.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Skipped {
    pub(super) column: String,
    pub(super) reason: String,
}

/// How the values of a type are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Number,
    Boolean,
    Text,
    /// Without any value; goes with every other.
    Empty,
    /// Not at all.
    Other,
}

fn form_of(of: &DataType) -> Form {
    match of {
        DataType::Null => Form::Empty,
        DataType::Boolean => Form::Boolean,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Form::Text,
        DataType::Dictionary(_, values) => form_of(values),
        other if other.is_numeric() => Form::Number,
        _ => Form::Other,
    }
}

/// The form that both can take; `None` if one is a number and the other a category.
fn common(old: Form, new: Form) -> Option<Form> {
    match (old, new) {
        (Form::Other, _) | (_, Form::Other) => Some(Form::Other),
        (Form::Empty, known) | (known, Form::Empty) => Some(known),
        (Form::Boolean, Form::Text) | (Form::Text, Form::Boolean) => Some(Form::Text),
        _ => (old == new).then_some(old),
    }
}

/// The columns asked for, or else those of both files, in the order of the reference.
///
/// # Errors
/// A column that is asked for is missing in a file, or its values cannot be read.
pub(super) fn side_by_side(
    reference: &Table,
    current: &Table,
    asked: &[String],
) -> anyhow::Result<(Vec<Column>, Vec<Skipped>)> {
    let wanted: Vec<&str> = if asked.is_empty() {
        reference.names().into_iter().chain(current.names()).collect()
    } else {
        asked.iter().map(String::as_str).collect()
    };
    let mut seen = BTreeSet::new();
    let (mut columns, mut skipped) = (Vec::new(), Vec::new());
    for name in wanted.into_iter().filter(|name| seen.insert(*name)) {
        let is_twice = |table: &&Table| table.names().into_iter().filter(|own| *own == name).count() > 1;
        let reason = if let Some(table) = [reference, current].into_iter().find(is_twice) {
            format!("{} has two columns of this name", table.file)
        } else if let Some(table) = [reference, current].into_iter().find(|table| table.lacks(name)) {
            let found = table.names().join(", ");
            anyhow::ensure!(asked.is_empty(), "column `{name}` is not in {}, which has {found}", table.file);
            format!("it is not in {}", table.file)
        } else {
            match values(reference, current, name)? {
                Ok(values) => {
                    columns.push(Column { name: name.to_owned(), values });
                    continue;
                }
                Err(reason) => reason,
            }
        };
        skipped.push(Skipped { column: name.to_owned(), reason });
    }
    Ok((columns, skipped))
}

/// The values of a column, or why it is not compared.
fn values(reference: &Table, current: &Table, name: &str) -> anyhow::Result<Result<Values, String>> {
    let types = [reference.type_of(name), current.type_of(name)];
    let [old, new] = types.map(|found| found.map_or(Form::Empty, form_of));
    let Some(form) = common(old, new) else {
        let [old, new] = types.map(|found| found.map(ToString::to_string).unwrap_or_default());
        return Ok(Err(format!(
            "column `{name}` is {old} in {} and {new} in {}, expected numbers in both or categories in both",
            reference.file, current.file
        )));
    };
    let both = |to: DataType| -> anyhow::Result<Pair<ArrayRef>> {
        Ok(Pair { reference: reference.column(name, &to)?, current: current.column(name, &to)? })
    };
    Ok(Ok(match form {
        Form::Number => {
            let samples = both(DataType::Float64)?.map(|array| finite(&array));
            let is_integer = current.type_of(name).is_some_and(DataType::is_signed_integer);
            Values::Numbers { are_integers: is_integer && samples.current.null_count() == 0, samples }
        }
        Form::Boolean => Values::Booleans(both(DataType::Boolean)?.map(|array| array.as_boolean().clone())),
        Form::Text => Values::Texts(both(DataType::Utf8)?.map(|array| array.as_string::<i32>().clone())),
        Form::Empty => return Ok(Err("it holds no value in either file".to_owned())),
        Form::Other => {
            let other = types.into_iter().flatten().find(|found| form_of(found) == Form::Other);
            let other = other.map(ToString::to_string).unwrap_or_default();
            return Ok(Err(format!("it is {other}; numbers, booleans and texts are compared")));
        }
    }))
}

fn finite(array: &ArrayRef) -> Float64Array {
    array.as_primitive::<Float64Type>().iter().map(|value| value.filter(|x| x.is_finite())).collect()
}

impl<T> Pair<T> {
    fn map<U>(self, to: impl Fn(T) -> U) -> Pair<U> {
        Pair { reference: to(self.reference), current: to(self.current) }
    }
}

impl<T: Array + Clone + 'static> Pair<T> {
    fn arrays(&self) -> Pair<ArrayRef> {
        Pair { reference: Arc::new(self.reference.clone()), current: Arc::new(self.current.clone()) }
    }
}

impl Values {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Numbers { .. } => "number",
            Self::Booleans(_) | Self::Texts(_) => "category",
        }
    }

    /// Both sides as Arrow has them.
    pub(super) fn arrays(&self) -> Pair<ArrayRef> {
        match self {
            Self::Numbers { samples, .. } => samples.arrays(),
            Self::Booleans(samples) => samples.arrays(),
            Self::Texts(samples) => samples.arrays(),
        }
    }

    /// Share of rows without a value; `None` without rows.
    pub(super) fn missing(&self) -> Pair<Option<f64>> {
        self.arrays().map(|array| (!array.is_empty()).then(|| array.null_count() as f64 / array.len() as f64))
    }
}

/// What is there of a sample.
pub(super) fn present<T>(rows: impl IntoIterator<Item = Option<T>>) -> Vec<T> {
    rows.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::{Table, Values, present, side_by_side};
    use arrow::array::{
        ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int64Array, NullArray,
        RecordBatch, StringArray, TimestampSecondArray, UInt8Array,
    };
    use arrow::datatypes::{DataType, Field, Int32Type, Schema};
    use std::sync::Arc;

    fn table(file: &str, columns: &[(&str, ArrayRef)]) -> Table {
        let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
        // In two pieces, as long files are.
        let batches = vec![batch.slice(0, 1), batch.slice(1, batch.num_rows() - 1)];
        Table::new(file, batches)
    }

    /// One column of both files: what it is taken for, its current values, or what is said of it.
    fn taken(old: &[(&str, ArrayRef)], new: &[(&str, ArrayRef)], asked: &[&str]) -> String {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        match side_by_side(&table("old.csv", old), &table("new.csv", new), &asked) {
            Err(error) => error.to_string(),
            Ok((columns, skipped)) => match (columns.as_slice(), skipped.as_slice()) {
                ([column], []) => match &column.values {
                    Values::Numbers { samples, are_integers } => {
                        format!("numbers {:?} {are_integers}", present(&samples.current))
                    }
                    Values::Booleans(samples) => format!("booleans {:?}", present(&samples.current)),
                    Values::Texts(samples) => format!("texts {:?}", present(&samples.current)),
                },
                ([], [skipped]) => skipped.reason.clone(),
                other => panic!("{other:?}"),
            },
        }
    }

    #[test]
    fn a_column_is_a_number_a_category_skipped_or_refused() {
        let integers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let gaps: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let bytes: ArrayRef = Arc::new(UInt8Array::from(vec![1, 2, 3]));
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.5, f64::NAN, f64::INFINITY]));
        let halves: ArrayRef = Arc::new(Float32Array::from(vec![0.5, 1.0, -0.5]));
        let money = Decimal128Array::from(vec![150, 250, 350]).with_precision_and_scale(10, 2).unwrap();
        let money: ArrayRef = Arc::new(money);
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
        let coded: ArrayRef = Arc::new(["a", "b", "a"].into_iter().collect::<DictionaryArray<Int32Type>>());
        let times: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1, 2, 3]));
        let nulls: ArrayRef = Arc::new(NullArray::new(3));
        let compared = "; numbers, booleans and texts are compared";
        let cases = [
            (&floats, &integers, "numbers [1.0, 2.0, 3.0] true".to_owned()),
            (&integers, &gaps, "numbers [1.0, 3.0] false".to_owned()),
            (&integers, &bytes, "numbers [1.0, 2.0, 3.0] false".to_owned()),
            (&integers, &floats, "numbers [1.5] false".to_owned()),
            (&integers, &halves, "numbers [0.5, 1.0, -0.5] false".to_owned()),
            (&integers, &money, "numbers [1.5, 2.5, 3.5] false".to_owned()),
            (&flags, &flags, "booleans [true, false, true]".to_owned()),
            (&texts, &flags, "texts [\"true\", \"false\", \"true\"]".to_owned()),
            (&coded, &texts, "texts [\"a\", \"b\"]".to_owned()),
            (&texts, &coded, "texts [\"a\", \"b\", \"a\"]".to_owned()),
            (&texts, &nulls, "texts []".to_owned()),
            (&nulls, &floats, "numbers [1.5] false".to_owned()),
            (&nulls, &nulls, "it holds no value in either file".to_owned()),
            (&times, &times, format!("it is Timestamp(s){compared}")),
            (&integers, &times, format!("it is Timestamp(s){compared}")),
            (
                &integers,
                &texts,
                "column `x` is Int64 in old.csv and Utf8 in new.csv, expected numbers in both or categories in both"
                    .to_owned(),
            ),
            (
                &flags,
                &floats,
                "column `x` is Boolean in old.csv and Float64 in new.csv, expected numbers in both or categories in \
                 both"
                    .to_owned(),
            ),
        ];
        for (old, new, expected) in cases {
            assert_eq!(taken(&[("x", Arc::clone(old))], &[("x", Arc::clone(new))], &[]), expected);
        }
    }

    #[test]
    fn a_column_of_one_file_is_skipped_unless_it_is_asked_for() {
        let one: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let both = [("x", Arc::clone(&one)), ("y", one)];
        let (_, less) = both.split_first().unwrap();
        let refused = "column `x` is not in new.csv, which has y";
        let schema = Schema::new(vec![Field::new("x", DataType::Int64, true); 2]);
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let twice = RecordBatch::try_new(Arc::new(schema), vec![values; 2]).unwrap();
        let (columns, skipped) =
            side_by_side(&Table::new("twice.parquet", vec![twice]), &table("old.csv", &both), &[]).unwrap();
        let reasons: Vec<&str> = skipped.iter().map(|s| s.reason.as_str()).collect();
        assert_eq!(reasons, ["twice.parquet has two columns of this name", "it is not in twice.parquet"]);
        assert!(columns.is_empty());
        assert_eq!(taken(&both, less, &["y", "y"]), "numbers [1.0, 2.0, 3.0] true");
        assert_eq!(taken(&both, less, &["y", "x"]), refused);
        let (old, new) = (table("old.csv", &both), table("new.csv", less));
        let (columns, skipped) = side_by_side(&old, &new, &[]).unwrap();
        assert_eq!(columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["y"]);
        assert_eq!(skipped.iter().map(|s| s.reason.as_str()).collect::<Vec<_>>(), ["it is not in new.csv"]);
    }
}
