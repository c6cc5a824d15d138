//! Candidates and their losses on the folds.

use crate::data_set::{DataSet, take_rows};
use crate::evaluate::{Losses, losses, mean, standard_error, test_slices};
use crate::folds::Fold;
use crate::random::Random;
use crate::trainer::{Fit, Rows, Trainer, trainer};
use crate::{Error, Progress, Spec};
use bundle::Bundle;
use domain::{FeatureMatrix, Slices};
use prepare::{Needs, Preprocessor};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Standard errors by which a linear model must beat the best trees: one-sided 5 %.
const LINEAR_ERRORS: f64 = 1.645;

/// A configuration worth trying.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) family: usize,
    pub(crate) parameters: Value,
    /// `defaults`, `champion` or `trial`.
    pub(crate) origin: &'static str,
}

/// The chosen candidate and what it did on the newest fold.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) candidate: Candidate,
    /// Its scores on the newest fold, row-major, by a model that has not seen it.
    pub(crate) scores: Vec<f64>,
    pub(crate) losses: Losses,
    /// Every trial with its numbers.
    pub(crate) log: Vec<Value>,
}

pub(crate) struct Families(Vec<Box<dyn Trainer>>);

impl Families {
    pub(crate) fn of(spec: &Spec) -> Result<Self, Error> {
        spec.families.iter().map(|name| trainer(name, spec.task)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn get(&self, candidate: &Candidate) -> Option<&dyn Trainer> {
        self.0.get(candidate.family).map(AsRef::as_ref)
    }

    /// Each family's defaults, the champion's own parameters, then random trials, taken in turn
    /// from the families that have something to search.
    fn candidates(&self, spec: &Spec, champion: Option<&Bundle>) -> Vec<Candidate> {
        let mut out: Vec<Candidate> = Vec::new();
        let mut push = |candidate: Candidate| {
            let known = out.iter().any(|c| c.family == candidate.family && c.parameters == candidate.parameters);
            if !known {
                out.push(candidate);
            }
        };
        for (family, trainer) in self.0.iter().enumerate() {
            push(Candidate { family, parameters: trainer.defaults(), origin: "defaults" });
        }
        if let Some(bundle) = champion
            && let Some(family) = self.0.iter().position(|t| t.family() == bundle.manifest.family)
        {
            push(Candidate { family, parameters: bundle.manifest.parameters.clone(), origin: "champion" });
        }
        let mut random = Random::new(spec.seed);
        let has_search = |f: &usize| self.0.get(*f).is_some_and(|t| t.sample(&mut Random::new(0)).is_some());
        let searchable: Vec<usize> = (0..self.0.len()).filter(has_search).collect();
        for family in searchable.iter().copied().cycle().take(spec.trials as usize) {
            if let Some(parameters) = self.0.get(family).and_then(|t| t.sample(&mut random)) {
                push(Candidate { family, parameters, origin: "trial" });
            }
        }
        out
    }
}

/// Rows prepared for a family: the preprocessor is fitted on training rows alone.
pub(crate) struct Prepared {
    pub(crate) preprocessor: Preprocessor,
    features: FeatureMatrix,
    labels: Vec<f64>,
}

impl Prepared {
    /// Fits the recipe on the given rows (the newest of them where the family has a bound).
    pub(crate) fn new(spec: &Spec, data: &DataSet, rows: &[u32], family: &dyn Trainer) -> Result<Self, Error> {
        let first = family.rows_max().map_or(0, |most| rows.len().saturating_sub(most));
        let rows = rows.get(first..).unwrap_or_default();
        let raw = data.take(rows)?;
        let preprocessor = prepare::fit(&spec.recipe, family.family(), family.needs(), &spec.schema, &raw)?;
        let features = preprocessor.apply(&raw)?;
        let labels = rows.iter().filter_map(|&row| data.labels.get(row as usize).copied()).collect();
        Ok(Self { preprocessor, features, labels })
    }

    /// What the trainers take.
    pub(crate) fn rows(&self, spec: &Spec) -> Rows<'_> {
        Rows {
            features: &self.features,
            described: self.preprocessor.features(),
            labels: &self.labels,
            shape: spec.shape(),
            threads: spec.threads,
            seed: spec.seed,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }
}

/// The result of a candidate on a fold.
type Tried = (Vec<f64>, Losses);

struct Search<'a> {
    spec: &'a Spec,
    data: &'a DataSet,
    families: &'a Families,
    candidates: Vec<Candidate>,
    scale: f64,
    deadline: Option<Instant>,
    failure: Option<Error>,
}

impl Search<'_> {
    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Tries every candidate on a fold; random trials stop at the deadline, the others never do.
    fn fold(&mut self, fold: &Fold, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Option<Tried>>, Error> {
        let mut out: Vec<Option<Tried>> = self.candidates.iter().map(|_| None).collect();
        let length = fold.test.len();
        let test = take_rows(
            &self.data.rows.slice(fold.test.start, length),
            &(0..u32::try_from(length).unwrap_or(0)).collect::<Vec<_>>(),
        )?;
        let labels = self.data.labels.get(fold.test.clone()).unwrap_or_default();
        let (mut trial, mut best) = (0, None::<f64>);
        for family in 0..self.families.0.len() {
            let Some(trainer) = self.families.0.get(family) else { continue };
            let prepared = Prepared::new(self.spec, self.data, &fold.training, trainer.as_ref())?;
            let features = prepared.preprocessor.apply(&test)?;
            let mut fitter = trainer.open(prepared.rows(self.spec))?;
            for place in 0..self.candidates.len() {
                let Some(candidate) = self.candidates.get(place).filter(|c| c.family == family) else { continue };
                if candidate.origin == "trial" && self.is_late() {
                    continue;
                }
                let fitted = fitter.fit(&candidate.parameters);
                if let Some(tried) = self.judge(fitted, &features, labels)? {
                    let loss = mean(&tried.1.rank);
                    best = Some(best.map_or(loss, |b| b.min(loss)));
                    if let Some(slot) = out.get_mut(place) {
                        *slot = Some(tried);
                    }
                }
                trial += 1;
                progress(Progress { trial, best, ..Progress::new("trial", prepared.len()) });
            }
        }
        Ok(out)
    }

    /// A candidate that cannot be fitted is out, not the run.
    fn judge(
        &mut self,
        fitted: Result<Fit, Error>,
        features: &FeatureMatrix,
        labels: &[f64],
    ) -> Result<Option<Tried>, Error> {
        let fit = match fitted {
            Ok(fit) => fit,
            Err(error) => {
                self.failure = Some(error);
                return Ok(None);
            }
        };
        let mut scores = Vec::new();
        fit.model.predict(features, &mut scores)?;
        let losses = losses(self.spec.shape(), &scores, labels, self.scale);
        Ok(mean(&losses.rank).is_finite().then_some((scores, losses)))
    }

    /// The least mean loss over the folds; of equal ones the first, so that a random trial must
    /// beat the defaults. A linear model must also beat the best trees by [`LINEAR_ERRORS`] of the
    /// difference: it goes on along a line where the world leaves the range of the training rows
    /// (the next season), which no fold before it can show.
    fn choose(&self, results: &[Vec<Option<Tried>>], folds: &[Fold]) -> Option<usize> {
        let is_tree = |place: usize| {
            let trainer = self.candidates.get(place).and_then(|c| self.families.get(c));
            trainer.is_some_and(|t| t.needs() == Needs::Trees)
        };
        let least = |trees: bool| {
            let mut best: Option<(f64, usize)> = None;
            for place in (0..self.candidates.len()).filter(|&place| is_tree(place) == trees) {
                let means: Option<Vec<f64>> =
                    results.iter().map(|fold| fold.get(place)?.as_ref().map(|t| mean(&t.1.rank))).collect();
                if let Some(loss) = means.map(|means| mean(&means))
                    && best.is_none_or(|(least, _)| loss < least)
                {
                    best = Some((loss, place));
                }
            }
            best.map(|(_, place)| place)
        };
        match (least(true), least(false)) {
            (Some(trees), Some(line)) if self.gains(results, folds, line, trees) => Some(line),
            (Some(trees), _) => Some(trees),
            (None, line) => line,
        }
    }

    /// Whether one candidate's loss is below another's by more than chance on the folds.
    fn gains(&self, results: &[Vec<Option<Tried>>], folds: &[Fold], one: usize, other: usize) -> bool {
        let (mut means, mut squares) = (Vec::new(), 0.0);
        for (fold, tried) in folds.iter().zip(results) {
            let (Some(Some(a)), Some(Some(b))) = (tried.get(one), tried.get(other)) else { return false };
            let difference: Vec<f64> = a.1.rank.iter().zip(&b.1.rank).map(|(a, b)| a - b).collect();
            let times = self.data.times_ms.get(fold.test.clone()).unwrap_or_default();
            let groups = test_slices(times, Slices::of(self.spec.slice_ms));
            means.push(mean(&difference));
            squares += standard_error(&difference, &groups).powi(2);
        }
        #[allow(clippy::cast_precision_loss)]
        let error = squares.sqrt() / means.len().max(1) as f64;
        mean(&means) < -LINEAR_ERRORS * error
    }

    fn record(&self, place: usize, folds: &[Vec<Option<Tried>>]) -> Value {
        let candidate = self.candidates.get(place);
        let means: Vec<Option<f64>> =
            folds.iter().map(|fold| fold.get(place).and_then(Option::as_ref).map(|t| mean(&t.1.rank))).collect();
        json!({
            "family": candidate.and_then(|c| self.families.get(c)).map(Trainer::family),
            "origin": candidate.map(|c| c.origin),
            "parameters": candidate.map(|c| &c.parameters),
            "mean_loss": means,
        })
    }
}

/// Tries all candidates on all folds (newest first) and chooses one: see [`Search::choose`].
pub(crate) fn search(
    spec: &Spec,
    data: &DataSet,
    folds: &[Fold],
    (families, champion): (&Families, Option<&Bundle>),
    scale: f64,
    progress: &mut dyn FnMut(Progress),
) -> Result<Chosen, Error> {
    let deadline = spec.time_limit_ms.map(|limit| Instant::now() + Duration::from_millis(limit));
    let candidates = families.candidates(spec, champion);
    let mut search = Search { spec, data, families, candidates, scale, deadline, failure: None };
    let mut results = Vec::new();
    for fold in folds {
        progress(Progress::new("fold", fold.training.len()));
        results.push(search.fold(fold, progress)?);
    }
    let best = search.choose(&results, folds);
    let log = (0..search.candidates.len()).map(|place| search.record(place, &results)).collect();
    let chosen = best.and_then(|place| {
        let (scores, losses) = results.first_mut()?.get_mut(place)?.take()?;
        Some(Chosen { candidate: search.candidates.get(place)?.clone(), scores, losses, log })
    });
    let failure = search.failure;
    chosen
        .ok_or_else(|| Error::NoCandidate { detail: failure.map_or_else(|| "no family".to_owned(), |e| e.to_string()) })
}
