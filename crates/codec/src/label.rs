//! Labels: id, time and value of each record of a raw batch.

use crate::Error;
use crate::column::{Texts, float, found, number, text};
use crate::format::LabelFormat;
use crate::paths::Paths;
use crate::reason::{FIELD_TYPE, LABEL_MISSING, LABEL_NOT_FINITE, LABEL_UNKNOWN_CLASS, Refusal, Refused};
use crate::record::{Envelope, check_size, scan};
use crate::scan::{Slot, unescape};
use arrow::array::StringArray;
use domain::{RawBatch, RawRecord, Task};

/// Decodes JSON labels; built once, fed batch by batch.
#[derive(Debug)]
pub struct LabelDecoder {
    envelope: Envelope,
    paths: Paths,
    ids: Texts,
    slot: usize,
    path: String,
    task: Task,
    classes: Vec<Class>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Class {
    label: String,
    /// The label as a number, if it is one: `1.0` in a record means the class `1`.
    number: Option<f64>,
}

/// Decoded labels: one entry per accepted record, in offset order.
#[derive(Debug, Clone)]
pub struct DecodedLabels {
    /// Ids of the events the labels belong to.
    pub ids: StringArray,
    /// Label times, epoch milliseconds.
    pub times_ms: Vec<i64>,
    /// Binary: 1 for the positive class, else 0. Multiclass: index in class order. Regression: the number.
    pub values: Vec<f64>,
    /// Index of each accepted record in the raw batch.
    pub indexes: Vec<u32>,
    /// The records set apart, in offset order.
    pub refused: Vec<Refused>,
    /// Records ignored by configuration; none so far.
    pub ignored: u64,
}

impl LabelDecoder {
    /// A decoder of a format.
    ///
    /// # Errors
    /// [`Error::Path`] if a column path has an empty part, [`Error::Classes`] if binary
    /// classification has not two classes, or multiclass classification fewer than two.
    pub fn new(format: LabelFormat) -> Result<Self, Error> {
        let found = format.classes.len();
        match format.task {
            Task::BinaryClassification if found != 2 => return Err(Error::Classes { found, expected: "two" }),
            Task::MulticlassClassification if found < 2 => {
                return Err(Error::Classes { found, expected: "two or more" });
            }
            _ => {}
        }
        let mut paths = Paths::new();
        let envelope = Envelope::new(&format.id, &format.time, &mut paths)?;
        let slot = paths.add(&format.value)?;
        let class = |label: String| Class { number: label.parse().ok(), label };
        Ok(Self {
            envelope,
            paths,
            ids: Texts::default(),
            slot,
            path: format.value,
            task: format.task,
            classes: format.classes.into_iter().map(class).collect(),
            scratch: Vec::new(),
        })
    }

    /// Decodes a batch. Bad records are in `refused`.
    ///
    /// # Errors
    /// As [`crate::EventDecoder::decode`].
    pub fn decode(&mut self, batch: &RawBatch) -> Result<DecodedLabels, Error> {
        check_size(batch)?;
        let rows = batch.len();
        let (mut times_ms, mut values) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        let (mut indexes, mut refused) = (Vec::with_capacity(rows), Vec::new());
        for (place, record) in batch.iter().enumerate() {
            let index = u32::try_from(place).unwrap_or(u32::MAX);
            match self.row(batch, place, &record) {
                Ok((time_ms, value)) => {
                    times_ms.push(time_ms);
                    values.push(value);
                    indexes.push(index);
                }
                Err((reason, detail)) => {
                    self.ids.truncate(indexes.len());
                    refused.push(Refused { index, reason, detail });
                }
            }
        }
        Ok(DecodedLabels { ids: self.ids.finish(None)?, times_ms, values, indexes, refused, ignored: 0 })
    }

    fn row(&mut self, batch: &RawBatch, index: usize, record: &RawRecord<'_>) -> Result<(i64, f64), Refusal> {
        let message = scan(&mut self.paths, record)?;
        self.envelope.push_id((batch, index), (&self.paths, message), &mut self.ids)?;
        let time_ms = self.envelope.time(record, &self.paths, message)?;
        let slot = self.paths.slot(self.slot);
        if matches!(slot, Slot::Missing | Slot::Null) {
            return Err((LABEL_MISSING, format!("label column `{}` is missing or null", self.path)));
        }
        let value = if self.task == Task::Regression { self.number(slot, message) } else { self.class(slot, message) };
        Ok((time_ms, value?))
    }

    fn number(&self, slot: Slot, message: &str) -> Result<f64, Refusal> {
        let holds = || format!("label column `{}` holds {}, expected a finite number", self.path, found(slot, message));
        let text = number(slot, message).ok_or_else(|| (FIELD_TYPE, holds()))?;
        float(text).ok_or_else(|| (LABEL_NOT_FINITE, holds()))
    }

    /// Index of the class: in binary classification 1 is the positive one.
    fn class(&mut self, slot: Slot, message: &str) -> Result<f64, Refusal> {
        let holds =
            |path: &str, expected| format!("label column `{path}` holds {}, expected {expected}", found(slot, message));
        let Some((text, escaped)) = text(slot, message) else {
            return Err((FIELD_TYPE, holds(&self.path, "a class label")));
        };
        self.scratch.clear();
        if escaped {
            unescape(text.as_bytes(), &mut self.scratch);
        } else {
            self.scratch.extend_from_slice(text.as_bytes());
        }
        let label = self.scratch.as_slice();
        let value = number(slot, message).and_then(float);
        let equal = |class: &Class| value.is_some() && class.number == value;
        let index = self.classes.iter().position(|c| c.label.as_bytes() == label);
        match index.or_else(|| self.classes.iter().position(equal)) {
            Some(index) => Ok(index as f64),
            None => Err((LABEL_UNKNOWN_CLASS, holds(&self.path, "one of the declared classes"))),
        }
    }
}
