//! What an event looks like, as the configuration says.

use arrow::datatypes::{DataType, Field as ArrowField, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// One of two classes; the prediction carries the probability of the positive one.
    BinaryClassification,
    /// One of several classes; the prediction carries a probability for each.
    MulticlassClassification,
    /// A number.
    Regression,
    /// How unlike the training rows a row is. There are no labels.
    Anomaly,
    /// Which group of similar rows a row belongs to. There are no labels.
    Clustering,
}

/// Numbers that clustering gives a row: the cluster's number, the distance from its centroid and
/// that from the next one.
pub const CLUSTER_OUTPUTS: usize = 3;

impl Task {
    /// Whether somebody tells later what was right. Where nobody does, every row counts by what the
    /// model says of it, once its slice is final.
    #[must_use]
    pub fn has_labels(self) -> bool {
        !matches!(self, Self::Anomaly | Self::Clustering)
    }

    /// Numbers that a model gives a row, with so many classes.
    #[must_use]
    pub fn outputs(self, classes: usize) -> usize {
        match self {
            Self::MulticlassClassification => classes.max(1),
            Self::Clustering => CLUSTER_OUTPUTS,
            Self::BinaryClassification | Self::Regression | Self::Anomaly => 1,
        }
    }
}

/// Type of a raw column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text with few distinct values: one-hot or ordinal, profiled by counts.
    Category,
    /// 64-bit floating point.
    Float,
    /// 64-bit integer.
    Integer,
    /// True or false.
    Boolean,
    /// RFC 3339 text or epoch milliseconds.
    Timestamp,
}

impl FieldType {
    /// The Arrow type a decoded column of this type has.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Category => DataType::Utf8,
            Self::Float => DataType::Float64,
            Self::Integer => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        }
    }

    /// Whether steps that name `numeric` columns mean this one.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Float | Self::Integer)
    }
}

/// One declared column of the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Column name (a key of the JSON object).
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// Whether an event without it is rejected (`field.missing`).
    #[serde(default)]
    pub required: bool,
}

/// The declared columns, in the order of the configuration. Id and time are not among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSchema {
    /// The columns.
    pub fields: Vec<Field>,
}

impl EventSchema {
    /// The Arrow schema of a decoded batch: the declared columns, all nullable (what is missing
    /// in a required column has been rejected before).
    #[must_use]
    pub fn arrow(&self) -> SchemaRef {
        let fields: Vec<ArrowField> =
            self.fields.iter().map(|f| ArrowField::new(&f.name, f.field_type.arrow(), true)).collect();
        Arc::new(Schema::new(fields))
    }
}
