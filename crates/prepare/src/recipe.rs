//! The recipe: what the user declares about features. Fitting turns it into a preprocessor.

use serde::{Deserialize, Serialize};

/// Declared derived columns and steps. Empty: the defaults of [`Needs`] for every column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Columns computed by SQL, in this order; a later one may read an earlier one.
    #[serde(default)]
    pub derive: Vec<Derive>,
    /// Steps. Where two name the same column, each setting of the later one wins.
    #[serde(default)]
    pub step: Vec<StepSpec>,
}

/// A column computed from others of the same row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derive {
    /// Name of the new column.
    pub name: String,
    /// SQL scalar expression over the declared columns and the columns derived before.
    pub sql: String,
}

/// What to do with some columns. A setting left out is the default of [`Needs`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// Which columns.
    pub columns: Columns,
    /// What stands in for a missing value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impute: Option<Impute>,
    /// How numbers are shifted and scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// How categories become numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encode: Option<Encode>,
    /// Categories kept apart, by frequency; 1 to [`CATEGORIES_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_categories: Option<usize>,
    /// Model families this step is for; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub families: Option<Vec<String>>,
}

/// Largest value of `max_categories`.
pub const CATEGORIES_MAX: usize = 65_536;

/// The columns a step is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Columns {
    /// All columns of a kind; settings that do not fit a column of `all` are left out there.
    Kind(ColumnKind),
    /// Columns by name, declared or derived.
    Names(Vec<String>),
}

/// Kinds of columns a step can name as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Floats and integers.
    Numeric,
    /// Text.
    Category,
    /// True or false.
    Boolean,
    /// Every column, timestamps too.
    All,
}

/// What stands in for a missing value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Impute {
    /// Mean of the values seen.
    Mean,
    /// Median of the values seen; between the two middle ones, their mean.
    Median,
    /// Zero.
    Zero,
    /// The most frequent value; the least of several.
    MostFrequent,
}

/// How numbers are shifted and scaled. A constant column is shifted only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// (x - mean) / standard deviation of the rows (divisor n).
    Standard,
    /// (x - least) / (greatest - least).
    MinMax,
    /// (x - median) / (third quartile - first quartile).
    Robust,
}

/// How categories become numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encode {
    /// One feature per category: 1 where the row has it, else 0.
    OneHot,
    /// One feature: the category's rank by frequency, from 0.
    Ordinal,
}

/// What a family of models can take; decides the defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// Finite numbers of similar size: missing values become the median, numbers are
    /// standardised, categories one-hot (64 at most, the rest together).
    Dense,
    /// Anything: missing values stay NaN, numbers stay as they are, categories become ordinal
    /// codes (1,024 at most, the rest NaN).
    Trees,
}
