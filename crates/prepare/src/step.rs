//! The fitted steps of one column.

use crate::Error;
use crate::column::{Kind, map_numbers, texts};
use crate::number::NumberStep;
use crate::plan::Settings;
use crate::preprocessor::Feature;
use crate::recipe::{CATEGORIES_MAX, Encode, Needs};
use crate::vocabulary::Vocabulary;
use arrow::array::ArrayRef;
use serde::{Deserialize, Serialize};

/// What was fitted for a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// One feature: the number, imputed and scaled.
    Number {
        /// How.
        number: NumberStep,
    },
    /// One feature per category, then one for all other categories and one for missing values,
    /// where the rows fitted on had such.
    OneHot {
        /// The categories.
        categories: Vocabulary,
        /// Whether there is a feature for all others; without it they have 0 everywhere.
        other: bool,
        /// What missing values have.
        missing: Missing,
    },
    /// One feature: the code of the category, NaN if it has none.
    Ordinal {
        /// The categories.
        categories: Vocabulary,
        /// What missing values have; a feature of their own is not possible.
        missing: Missing,
        /// For models that need finite numbers: how the code goes on.
        number: Option<NumberStep>,
    },
}

/// What a missing category becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Missing {
    /// 0 in every feature, or no code.
    Nothing,
    /// A feature of its own.
    Feature,
    /// The most frequent category.
    MostFrequent,
}

impl Step {
    /// Fits the steps of one column.
    pub(crate) fn fit(
        column: &str,
        kind: Kind,
        settings: &Settings,
        needs: Needs,
        array: &ArrayRef,
    ) -> Result<Self, Error> {
        if kind != Kind::Category {
            let values = map_numbers(column, array, |x| x)?;
            let (impute, scale) = (settings.impute_number(needs), settings.scale(needs));
            return Ok(Self::Number { number: NumberStep::fit(&values, impute, scale) });
        }
        let limit = settings.max_categories(needs);
        let (categories, other) = Vocabulary::fit(texts(column, array)?.flatten(), limit);
        let imputed = settings.impute_category();
        match settings.encode(needs) {
            Encode::OneHot => {
                let missing = match array.null_count() > 0 {
                    _ if imputed => Missing::MostFrequent,
                    true => Missing::Feature,
                    false => Missing::Nothing,
                };
                Ok(Self::OneHot { categories, other, missing })
            }
            Encode::Ordinal => {
                let missing = if imputed { Missing::MostFrequent } else { Missing::Nothing };
                let number = match needs {
                    Needs::Trees => None,
                    Needs::Dense => {
                        let step = Self::Ordinal { categories: categories.clone(), missing, number: None };
                        let codes: Vec<f64> = texts(column, array)?.map(|text| step.code(text)).collect();
                        Some(NumberStep::fit_codes(&codes, categories.len()))
                    }
                };
                Ok(Self::Ordinal { categories, missing, number })
            }
        }
    }

    /// Appends the features of the column to `out`.
    pub(crate) fn apply(&self, column: &str, array: &ArrayRef, out: &mut Vec<Vec<f32>>) -> Result<(), Error> {
        match self {
            Self::Number { number } => out.push(map_numbers(column, array, |x| number.apply(x))?),
            Self::OneHot { .. } => {
                let first = out.len();
                out.resize_with(first + self.width(), || vec![0.0; array.len()]);
                for (row, text) in texts(column, array)?.enumerate() {
                    let feature = self.hot(text).and_then(|feature| out.get_mut(first + feature));
                    if let Some(value) = feature.and_then(|values| values.get_mut(row)) {
                        *value = 1.0;
                    }
                }
            }
            Self::Ordinal { number, .. } => {
                let number = number.unwrap_or(NumberStep::IDENTITY);
                out.push(texts(column, array)?.map(|text| number.apply(self.code(text))).collect());
            }
        }
        Ok(())
    }

    /// The feature, counted from the column's first, that is 1 for this text.
    fn hot(&self, text: Option<&str>) -> Option<usize> {
        let Self::OneHot { categories, other, missing } = self else {
            return None;
        };
        match (text, missing) {
            (Some(text), _) => categories.code(text).or(other.then_some(categories.len())),
            (None, Missing::Feature) => Some(categories.len() + usize::from(*other)),
            (None, Missing::MostFrequent) => Some(0),
            (None, Missing::Nothing) => None,
        }
    }

    /// The ordinal code of a text; NaN if it has none.
    fn code(&self, text: Option<&str>) -> f64 {
        let Self::Ordinal { categories, missing, .. } = self else {
            return f64::NAN;
        };
        let code = match text {
            Some(text) => categories.code(text),
            None => (*missing == Missing::MostFrequent && categories.len() > 0).then_some(0),
        };
        code.map_or(f64::NAN, |code| code as f64)
    }

    /// Number of features.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Number { .. } | Self::Ordinal { .. } => 1,
            Self::OneHot { categories, other, missing } => {
                categories.len() + usize::from(*other) + usize::from(*missing == Missing::Feature)
            }
        }
    }

    /// Appends the descriptions of the features to `out`.
    pub(crate) fn describe(&self, column: &str, out: &mut Vec<Feature>) {
        let feature = |name: String, categories| Feature { name, source: column.to_owned(), categories };
        match self {
            Self::Number { .. } | Self::Ordinal { number: Some(_), .. } => out.push(feature(column.to_owned(), None)),
            Self::Ordinal { categories, number: None, .. } => {
                out.push(feature(column.to_owned(), Some(categories.len())));
            }
            Self::OneHot { categories, other, missing } => {
                out.extend(categories.categories().iter().map(|c| feature(format!("{column} = {c}"), None)));
                if *other {
                    out.push(feature(format!("{column} is other"), None));
                }
                if *missing == Missing::Feature {
                    out.push(feature(format!("{column} is missing"), None));
                }
            }
        }
    }

    /// What is wrong with a saved step for a column of this kind.
    pub(crate) fn fault(&self, kind: Kind) -> Option<&'static str> {
        let (category, categories, number) = match self {
            Self::Number { number } => (false, 0, Some(number)),
            Self::OneHot { categories, .. } => (true, categories.len(), None),
            Self::Ordinal { categories, number, .. } => (true, categories.len(), number.as_ref()),
        };
        if category != (kind == Kind::Category) {
            return Some("step does not fit the column's type");
        }
        if categories > CATEGORIES_MAX {
            return Some("too many categories");
        }
        number.is_some_and(|n| !n.is_valid()).then_some("numbers are not those of a fitted step")
    }
}
