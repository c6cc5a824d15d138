//! Gradient boosting: LightGBM trains, our own representation scores.

use crate::Error;
use crate::lightgbm::{Booster, Dataset};
use crate::random::Random;
use crate::trainer::{Fit, Fitter, Rows, Trainer, parameters};
use domain::Task;
use prepare::Needs;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Write;

const FAMILY: &str = "gradient_boosting";
/// Trees times leaves of a random trial: twice the defaults, so that a trial's time is bounded.
const LEAVES_TOTAL_MAX: u32 = 6_200;

/// LightGBM's parameters under LightGBM's names; `trees` is `num_iterations`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameters {
    trees: u32,
    num_leaves: u32,
    learning_rate: f64,
    min_data_in_leaf: u32,
    feature_fraction: f64,
    lambda_l2: f64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            trees: 100,
            num_leaves: 31,
            learning_rate: 0.1,
            min_data_in_leaf: 20,
            feature_fraction: 1.0,
            lambda_l2: 0.0,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct GradientBoosting;

impl Trainer for GradientBoosting {
    fn family(&self) -> &'static str {
        FAMILY
    }

    fn needs(&self) -> Needs {
        Needs::Trees
    }

    fn rows_max(&self) -> Option<usize> {
        None
    }

    fn defaults(&self) -> Vec<Value> {
        vec![serde_json::to_value(Parameters::default()).unwrap_or_default()]
    }

    fn sample(&self, random: &mut Random) -> Option<Value> {
        let num_leaves = random.log_integer(7, 63);
        let trees = random.log_integer(50, 300).min(LEAVES_TOTAL_MAX / num_leaves);
        let drawn = Parameters {
            trees,
            num_leaves,
            learning_rate: random.log_uniform(0.03, 0.2),
            min_data_in_leaf: random.log_integer(10, 200),
            feature_fraction: (random.unit() * 5.0).floor() / 10.0 + 0.5,
            lambda_l2: random.log_uniform(0.01, 10.0),
        };
        serde_json::to_value(drawn).ok()
    }

    fn open<'a>(&self, rows: Rows<'a>) -> Result<Box<dyn Fitter + 'a>, Error> {
        #[allow(clippy::cast_possible_truncation)]
        let labels: Vec<f32> = rows.labels.iter().map(|&l| l as f32).collect();
        // The library wants a feature at least; a constant one changes nothing.
        let shared = shared_parameters(&rows);
        let dataset = Dataset::new(rows.features, &labels, &shared)?;
        Ok(Box::new(Opened { rows, dataset, shared }))
    }
}

/// What binning and boosting must agree on. Features are not filtered by `min_data_in_leaf` when
/// they are binned, since one data set serves all trials.
fn shared_parameters(rows: &Rows<'_>) -> String {
    let categorical = rows.described.iter().enumerate().filter(|(_, f)| f.categories.is_some());
    let columns: Vec<String> = categorical.map(|(i, _)| i.to_string()).collect();
    let mut out = format!(
        "verbosity=-1 deterministic=true force_col_wise=true feature_pre_filter=false max_bin=255 num_threads={} seed={}",
        rows.threads.max(1),
        rows.seed % 2_000_000_000
    );
    if !columns.is_empty() {
        out.push_str(" categorical_feature=");
        out.push_str(&columns.join(","));
    }
    out
}

struct Opened<'a> {
    rows: Rows<'a>,
    dataset: Dataset,
    shared: String,
}

impl Opened<'_> {
    fn train(&self, given: &Parameters) -> Result<Booster<'_>, Error> {
        let mut text = self.shared.clone();
        let objective = match self.rows.shape.task {
            Task::BinaryClassification => "binary".to_owned(),
            Task::MulticlassClassification => format!("multiclass num_class={}", self.rows.shape.classes),
            Task::Regression => "regression".to_owned(),
            other => {
                let detail = format!("{other:?}, expected classes or numbers");
                return Err(Error::Trainer { family: FAMILY, detail });
            }
        };
        let Parameters { num_leaves, learning_rate, min_data_in_leaf, feature_fraction, lambda_l2, .. } = given;
        write!(
            text,
            " objective={objective} num_leaves={num_leaves} learning_rate={learning_rate} \
             min_data_in_leaf={min_data_in_leaf} feature_fraction={feature_fraction} lambda_l2={lambda_l2}"
        )
        .map_err(|e| Error::Trainer { family: FAMILY, detail: e.to_string() })?;
        let mut booster = Booster::new(&self.dataset, &text)?;
        for _ in 0..given.trees {
            if booster.update()? {
                break;
            }
        }
        Ok(booster)
    }
}

impl Fitter for Opened<'_> {
    fn fit(&mut self, given: &Value) -> Result<Fit, Error> {
        let given: Parameters = parameters(FAMILY, given)?;
        let booster = self.train(&given)?;
        let model = models::lightgbm::parse(&booster.model_text()?)?;
        Ok(Fit { model, importance: booster.gains()? })
    }
}

#[cfg(test)]
mod tests {
    use super::{Opened, Parameters, shared_parameters};
    use crate::lightgbm::Dataset;
    use crate::random::Random;
    use crate::trainer::Rows;
    use domain::{FeatureMatrix, Task};
    use measure::Shape;
    use prepare::Feature;

    /// Numbers with missing values, a category of 12 codes, and labels that depend on both.
    #[allow(clippy::cast_possible_truncation)]
    fn rows(count: usize, classes: usize, seed: u64) -> (FeatureMatrix, Vec<f64>) {
        let mut random = Random::new(seed);
        let (mut a, mut b, mut c, mut labels) = (vec![], vec![], vec![], vec![]);
        for _ in 0..count {
            let (x, y, z, u) = (random.unit(), random.unit(), random.unit(), random.unit());
            a.push(if u < 0.1 { f32::NAN } else { (x * 10.0 - 5.0) as f32 });
            b.push(if y < 0.05 { 0.0 } else { y as f32 });
            let code = (z * 12.0).floor();
            c.push(if u > 0.95 { f32::NAN } else { code as f32 });
            let signal = x + 0.5 * f64::from(u8::from(code as i64 % 3 == 0)) + 0.4 * random.unit();
            labels.push(if classes == 0 {
                signal
            } else {
                (signal / 1.9 * classes as f64).floor().min(classes as f64 - 1.0)
            });
        }
        (FeatureMatrix::new(count, vec![a, b, c]).unwrap(), labels)
    }

    fn described() -> Vec<Feature> {
        [("a", None), ("b", None), ("c", Some(12))]
            .map(|(name, categories)| Feature { name: name.to_owned(), source: name.to_owned(), categories })
            .to_vec()
    }

    #[test]
    fn our_raw_scores_equal_those_of_the_library_bit_for_bit() {
        let tasks =
            [(Task::BinaryClassification, 2, 1), (Task::MulticlassClassification, 3, 3), (Task::Regression, 0, 1)];
        for (task, classes, outputs) in tasks {
            let (features, labels) = rows(3000, classes, 1);
            let described = described();
            let shape = Shape { task, classes };
            let rows_in =
                Rows { features: &features, described: &described, labels: &labels, shape, threads: 2, seed: 3 };
            let shared = shared_parameters(&rows_in);
            let as_f32: Vec<f32> = labels.iter().map(|&l| l as f32).collect();
            let dataset = Dataset::new(&features, &as_f32, &shared).unwrap();
            let opened = Opened { rows: rows_in, dataset, shared };
            let booster = opened.train(&Parameters { trees: 30, ..Parameters::default() }).unwrap();
            let model = models::lightgbm::parse(&booster.model_text().unwrap()).unwrap();
            let (mut unseen, _) = rows(1000, classes, 2);
            let mut columns = unseen.columns().to_vec();
            for (row, value) in
                [(0, f32::INFINITY), (1, f32::NEG_INFINITY), (2, -0.0), (3, f32::MAX), (4, -3.0), (5, 1e9)]
            {
                for column in &mut columns {
                    column[row] = value;
                }
            }
            unseen = FeatureMatrix::new(1000, columns).unwrap();
            let theirs = booster.raw_scores(&unseen, outputs).unwrap();
            let mut ours = Vec::new();
            model.raw(&unseen, &mut ours).unwrap();
            let unlike = ours.iter().zip(&theirs).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            assert_eq!((ours.len(), unlike), (theirs.len(), 0), "{task:?}");
            assert!(booster.gains().unwrap().iter().all(|g| *g >= 0.0));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_model() {
        let (features, labels) = rows(2000, 2, 5);
        let described = described();
        let shape = Shape { task: Task::BinaryClassification, classes: 2 };
        let text = || {
            let rows_in =
                Rows { features: &features, described: &described, labels: &labels, shape, threads: 2, seed: 3 };
            let shared = shared_parameters(&rows_in);
            let as_f32: Vec<f32> = labels.iter().map(|&l| l as f32).collect();
            let dataset = Dataset::new(&features, &as_f32, &shared).unwrap();
            let opened = Opened { rows: rows_in, dataset, shared };
            let given = Parameters { trees: 10, feature_fraction: 0.5, ..Parameters::default() };
            opened.train(&given).unwrap().model_text().unwrap()
        };
        assert_eq!(text(), text());
    }
}
