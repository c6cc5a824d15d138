//! Candidates and their losses on the folds.

use crate::data_set::DataSet;
use crate::evaluate::{Losses, mean, standard_error, test_slices};
use crate::folds::Fold;
use crate::random::Random;
use crate::trainer::{Asked, Trainer, trainer};
use crate::trials::{Trials, Tried};
use crate::{Error, Progress, Spec};
use bundle::Bundle;
use domain::Slices;
use prepare::Needs;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Origin of the champion's own parameters.
const CHAMPION: &str = "champion";
/// Standard errors by which other parameters must beat the champion's own: the fold after an alarm
/// is a few days, and the least loss of several on it is luck more often than not.
const OTHER_ERRORS: f64 = 1.0;
/// Standard errors by which a linear model must beat the best trees: one-sided 5 %.
const LINEAR_ERRORS: f64 = 1.645;
/// Candidates from which the first rung is worth its time.
const SCREEN_CANDIDATES: usize = 4;
/// The first rung sees one row of so many, the newest.
const SCREEN_SHARE: usize = 4;
/// Rows below which a first rung would choose by chance.
const SCREEN_ROWS_MIN: usize = 10_000;

/// A configuration worth trying.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) family: usize,
    pub(crate) parameters: Value,
    /// `champion`, `defaults` or `trial`.
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
        let asked = Asked { anomaly_share: spec.anomaly_share, clusters: spec.clusters };
        spec.families.iter().map(|name| trainer(name, spec.task, asked)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn get(&self, candidate: &Candidate) -> Option<&dyn Trainer> {
        self.0.get(candidate.family).map(AsRef::as_ref)
    }

    /// The champion's own parameters, each family's defaults, then random trials, taken in turn from
    /// the families that have something to search.
    fn candidates(&self, spec: &Spec, champion: Option<&Bundle>) -> Vec<Candidate> {
        let mut out: Vec<Candidate> = Vec::new();
        let mut push = |candidate: Candidate| {
            let known = out.iter().any(|c| c.family == candidate.family && c.parameters == candidate.parameters);
            if !known {
                out.push(candidate);
            }
        };
        if let Some(bundle) = champion
            && let Some(family) = self.0.iter().position(|t| t.family() == bundle.manifest.family)
        {
            push(Candidate { family, parameters: bundle.manifest.parameters.clone(), origin: CHAMPION });
        }
        for (family, trainer) in self.0.iter().enumerate() {
            for parameters in trainer.defaults() {
                push(Candidate { family, parameters, origin: "defaults" });
            }
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
    /// Tries candidates on the newest `training` rows of a fold.
    fn try_on(
        &mut self,
        fold: &Fold,
        training: usize,
        places: Vec<usize>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Option<Tried>>, Error> {
        let first = fold.training.len().saturating_sub(training);
        let trials = Trials {
            spec: self.spec,
            data: self.data,
            families: self.families,
            candidates: &self.candidates,
            places,
            training: fold.training.get(first..).unwrap_or_default(),
            test: fold.test.clone(),
            scale: self.scale,
            deadline: self.deadline,
        };
        let outcomes = trials.run(progress)?;
        let mut out = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            out.push(outcome.unwrap_or_else(|error| {
                self.failure = Some(error);
                None
            }));
        }
        Ok(out)
    }

    /// The first rung of successive halving: all candidates on the newest quarter of the rows. The
    /// champion's own parameters go on with what beats them; without them the best half. There are
    /// trees among them in any case, since a linear model is measured by trees. Whoever goes on has
    /// a result, whatever the time; what was lost by the others is in the log.
    fn screen(
        &mut self,
        fold: &Fold,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Vec<usize>, Vec<Option<f64>>), Error> {
        let all: Vec<usize> = (0..self.candidates.len()).collect();
        let rows = fold.training.len() / SCREEN_SHARE;
        if all.len() < SCREEN_CANDIDATES || rows < SCREEN_ROWS_MIN {
            return Ok((all, Vec::new()));
        }
        progress(Progress::new("screen", rows));
        let results = [self.try_on(fold, rows, all, progress)?];
        let folds = std::slice::from_ref(fold);
        let losses: Vec<Option<f64>> = (0..self.candidates.len()).map(|place| mean_loss(&results, place)).collect();
        let best_trees = self.least(&results, |place| self.is_tree(place));
        let mut goes_on: Vec<usize> =
            (0..losses.len()).filter(|&p| losses.get(p).is_some_and(Option::is_some)).collect();
        let own = self.champion_place().filter(|&own| losses.get(own).is_some_and(Option::is_some));
        match own {
            Some(own) => {
                goes_on.retain(|&place| place == own || self.gains(&results, folds, (place, own), OTHER_ERRORS));
            }
            None => {
                let loss = |place: &usize| losses.get(*place).copied().flatten().unwrap_or(f64::INFINITY);
                goes_on.sort_by(|a, b| loss(a).total_cmp(&loss(b)).then(a.cmp(b)));
                goes_on.truncate(self.candidates.len().div_ceil(2));
            }
        }
        if !goes_on.iter().any(|&place| self.is_tree(place)) {
            goes_on.extend(best_trees);
        }
        goes_on.sort_unstable();
        // Those chosen here must not be dropped by the clock: the others are gone.
        self.deadline = None;
        Ok((goes_on, losses))
    }

    /// Place of the champion's own parameters.
    fn champion_place(&self) -> Option<usize> {
        self.candidates.iter().position(|c| c.origin == CHAMPION)
    }

    fn is_tree(&self, place: usize) -> bool {
        let trainer = self.candidates.get(place).and_then(|c| self.families.get(c));
        trainer.is_some_and(|t| t.needs() == Needs::Trees)
    }

    /// The least mean loss over the folds; of equal ones the first, so that a random trial must
    /// beat the defaults. The champion's own parameters stay unless others are better by
    /// [`OTHER_ERRORS`]. A linear model must also beat the best trees by [`LINEAR_ERRORS`] of the
    /// difference: it goes on along a line where the world leaves the range of the training rows
    /// (the next season), which no fold before it can show.
    fn choose(&self, results: &[Vec<Option<Tried>>], folds: &[Fold]) -> Option<usize> {
        let best = |trees: bool| {
            let best = self.least(results, |place| self.is_tree(place) == trees)?;
            let own = self.champion_place().filter(|&own| self.is_tree(own) == trees && own != best);
            let stays = own.filter(|&own| {
                mean_loss(results, own).is_some() && !self.gains(results, folds, (best, own), OTHER_ERRORS)
            });
            Some(stays.unwrap_or(best))
        };
        match (best(true), best(false)) {
            (Some(trees), Some(line)) if self.gains(results, folds, (line, trees), LINEAR_ERRORS) => Some(line),
            (Some(trees), _) => Some(trees),
            (None, line) => line,
        }
    }

    fn least(&self, results: &[Vec<Option<Tried>>], is_meant: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best: Option<(f64, usize)> = None;
        for place in (0..self.candidates.len()).filter(|&place| is_meant(place)) {
            if let Some(loss) = mean_loss(results, place)
                && best.is_none_or(|(least, _)| loss < least)
            {
                best = Some((loss, place));
            }
        }
        best.map(|(_, place)| place)
    }

    /// Whether one candidate's loss is below another's by so many standard errors on the folds.
    fn gains(&self, results: &[Vec<Option<Tried>>], folds: &[Fold], (one, other): (usize, usize), errors: f64) -> bool {
        let (mut means, mut squares) = (Vec::new(), 0.0);
        for (fold, tried) in folds.iter().zip(results) {
            let (Some(Some(a)), Some(Some(b))) = (tried.get(one), tried.get(other)) else { return false };
            let difference: Vec<f64> = a.losses.rank.iter().zip(&b.losses.rank).map(|(a, b)| a - b).collect();
            let times = self.data.times_ms.get(fold.test.clone()).unwrap_or_default();
            let groups = test_slices(times, Slices::of(self.spec.slice_ms));
            means.push(mean(&difference));
            squares += standard_error(&difference, &groups).powi(2);
        }
        #[allow(clippy::cast_precision_loss)]
        let error = squares.sqrt() / means.len().max(1) as f64;
        mean(&means) < -errors * error
    }

    fn record(&self, place: usize, folds: &[Vec<Option<Tried>>], screened: &[Option<f64>]) -> Value {
        let candidate = self.candidates.get(place);
        let means: Vec<Option<f64>> =
            folds.iter().map(|fold| fold.get(place).and_then(Option::as_ref).map(|t| mean(&t.losses.rank))).collect();
        json!({
            "family": candidate.and_then(|c| self.families.get(c)).map(Trainer::family),
            "origin": candidate.map(|c| c.origin),
            "parameters": candidate.map(|c| &c.parameters),
            "mean_loss": means,
            "screened_loss": screened.get(place).copied().flatten(),
        })
    }
}

/// Mean over the folds of a candidate's mean loss; none where it has no result on one.
fn mean_loss(results: &[Vec<Option<Tried>>], place: usize) -> Option<f64> {
    let means: Option<Vec<f64>> =
        results.iter().map(|fold| fold.get(place)?.as_ref().map(|t| mean(&t.losses.rank))).collect();
    means.map(|means| mean(&means))
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
    let (places, screened) = match folds.first() {
        Some(newest) => search.screen(newest, progress)?,
        None => (Vec::new(), Vec::new()),
    };
    let mut results = Vec::new();
    for fold in folds {
        progress(Progress::new("fold", fold.training.len()));
        results.push(search.try_on(fold, fold.training.len(), places.clone(), progress)?);
    }
    let best = search.choose(&results, folds);
    let log = (0..search.candidates.len()).map(|place| search.record(place, &results, &screened)).collect();
    let chosen = best.and_then(|place| {
        let Tried { scores, losses } = results.first_mut()?.get_mut(place)?.take()?;
        Some(Chosen { candidate: search.candidates.get(place)?.clone(), scores, losses, log })
    });
    let failure = search.failure;
    chosen
        .ok_or_else(|| Error::NoCandidate { detail: failure.map_or_else(|| "no family".to_owned(), |e| e.to_string()) })
}
