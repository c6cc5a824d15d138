//! What each column gets: the steps of the recipe that are for it, resolved and checked.

use crate::Error;
use crate::column::Kind;
use crate::recipe::{CATEGORIES_MAX, ColumnKind, Columns, Encode, Impute, Needs, Recipe, Scale, StepSpec};

/// One-hot features of a column, when the recipe does not say.
const ONE_HOT_DEFAULT: usize = 64;
/// Ordinal codes of a column, when the recipe does not say.
const ORDINAL_DEFAULT: usize = 1_024;

/// Settings of one column; `None` where the recipe says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    impute: Option<Impute>,
    scale: Option<Scale>,
    encode: Option<Encode>,
    max_categories: Option<usize>,
}

impl Settings {
    /// How missing numbers are imputed.
    pub(crate) fn impute_number(&self, needs: Needs) -> Option<Impute> {
        self.impute.or(match needs {
            Needs::Dense => Some(Impute::Median),
            Needs::Trees => None,
        })
    }

    /// How numbers are scaled.
    pub(crate) fn scale(&self, needs: Needs) -> Option<Scale> {
        self.scale.or(match needs {
            Needs::Dense => Some(Scale::Standard),
            Needs::Trees => None,
        })
    }

    /// Whether a missing category becomes the most frequent one.
    pub(crate) fn impute_category(&self) -> bool {
        self.impute == Some(Impute::MostFrequent)
    }

    /// How categories are encoded.
    pub(crate) fn encode(&self, needs: Needs) -> Encode {
        self.encode.unwrap_or(match needs {
            Needs::Dense => Encode::OneHot,
            Needs::Trees => Encode::Ordinal,
        })
    }

    /// How many categories are kept apart.
    pub(crate) fn max_categories(&self, needs: Needs) -> usize {
        self.max_categories.unwrap_or(match self.encode(needs) {
            Encode::OneHot => ONE_HOT_DEFAULT,
            Encode::Ordinal => ORDINAL_DEFAULT,
        })
    }

    /// The settings of a step that fit a column of this kind, written over what was set before.
    fn take(&mut self, step: &StepSpec, kind: Kind) {
        if misfit_impute(step, kind).is_none() {
            self.impute = step.impute.or(self.impute);
        }
        if kind == Kind::Category {
            self.encode = step.encode.or(self.encode);
            self.max_categories = step.max_categories.or(self.max_categories);
        } else {
            self.scale = step.scale.or(self.scale);
        }
    }
}

/// The settings of every column for a family, in the order of `columns`. Steps for other families
/// are checked all the same.
pub(crate) fn resolve(recipe: &Recipe, family: &str, columns: &[(String, Kind)]) -> Result<Vec<Settings>, Error> {
    let mut settings = vec![Settings::default(); columns.len()];
    for (number, step) in (1..).zip(&recipe.step) {
        check(number, step, columns)?;
        if step.families.as_ref().is_some_and(|families| !families.iter().any(|f| f == family)) {
            continue;
        }
        for ((name, kind), settings) in columns.iter().zip(&mut settings) {
            let named = match &step.columns {
                Columns::Kind(named) => kind.is(*named),
                Columns::Names(names) => names.contains(name),
            };
            if named {
                settings.take(step, *kind);
            }
        }
    }
    Ok(settings)
}

/// Refuses unknown columns, settings that do not fit, numbers out of range.
fn check(number: usize, step: &StepSpec, columns: &[(String, Kind)]) -> Result<(), Error> {
    if let Some(found) = step.max_categories.filter(|n| !(1..=CATEGORIES_MAX).contains(n)) {
        return Err(Error::MaxCategories { step: number, found, limit: CATEGORIES_MAX });
    }
    match &step.columns {
        Columns::Kind(ColumnKind::All) => Ok(()),
        Columns::Kind(ColumnKind::Numeric) => check_fit(number, step, "numeric", Kind::Numeric),
        Columns::Kind(ColumnKind::Boolean) => check_fit(number, step, "boolean", Kind::Boolean),
        Columns::Kind(ColumnKind::Category) => check_fit(number, step, "category", Kind::Category),
        Columns::Names(names) => names.iter().try_for_each(|name| {
            let Some((_, kind)) = columns.iter().find(|(column, _)| column == name) else {
                let hint = expressions::suggest::hint(name, columns.iter().map(|(column, _)| column.as_str()));
                return Err(Error::UnknownColumn { step: number, column: name.clone(), hint });
            };
            check_fit(number, step, name, *kind)
        }),
    }
}

fn check_fit(number: usize, step: &StepSpec, column: &str, kind: Kind) -> Result<(), Error> {
    let misfits = [
        misfit_impute(step, kind).map(|expected| ("impute", expected)),
        (step.scale.is_some() && kind == Kind::Category).then_some(("scale", "impute, encode or max_categories")),
        (step.encode.is_some() && kind != Kind::Category)
            .then_some(("encode", "a text column, such as one derived by `cast(… as varchar)`")),
        (step.max_categories.is_some() && kind != Kind::Category).then_some(("max_categories", "a text column")),
    ];
    match misfits.into_iter().flatten().next() {
        None => Ok(()),
        Some((setting, expected)) => {
            let (setting, column) = (setting.to_owned(), column.to_owned());
            Err(Error::Setting { step: number, setting, column, found: kind.name(), expected })
        }
    }
}

/// What a category column could be imputed by, if the step says something else.
fn misfit_impute(step: &StepSpec, kind: Kind) -> Option<&'static str> {
    let numbers_only = step.impute.is_some_and(|impute| impute != Impute::MostFrequent);
    (kind == Kind::Category && numbers_only).then_some("impute = \"most_frequent\" for categories")
}
