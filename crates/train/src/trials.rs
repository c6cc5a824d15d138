//! Candidates fitted on the rows of a fold, several at a time.

use crate::data_set::{DataSet, take_rows};
use crate::evaluate::{Losses, losses, mean};
use crate::search::{Candidate, Families};
use crate::trainer::{Fit, Fitter, Rows, Trainer};
use crate::{Error, Progress, Spec};
use domain::FeatureMatrix;
use models::Model;
use prepare::Preprocessor;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

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

    /// What the trainers take. The model does not depend on the threads.
    pub(crate) fn rows(&self, spec: &Spec, threads: u32) -> Rows<'_> {
        Rows {
            features: &self.features,
            described: self.preprocessor.features(),
            labels: &self.labels,
            shape: spec.shape(),
            threads,
            seed: spec.seed,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.labels.len()
    }

    /// What a model says of these rows, row-major.
    pub(crate) fn scores(&self, model: &Model) -> Result<Vec<f64>, Error> {
        let mut scores = Vec::new();
        model.predict(&self.features, &mut scores)?;
        Ok(scores)
    }
}

/// What a candidate did on a fold.
#[derive(Debug, Clone)]
pub(crate) struct Tried {
    /// Row-major scores of the fold's rows.
    pub(crate) scores: Vec<f64>,
    pub(crate) losses: Losses,
}

/// Rows to fit on, rows to be judged by, and the candidates to try, by their places.
pub(crate) struct Trials<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) data: &'a DataSet,
    pub(crate) families: &'a Families,
    pub(crate) candidates: &'a [Candidate],
    pub(crate) places: Vec<usize>,
    pub(crate) training: &'a [u32],
    pub(crate) test: Range<usize>,
    /// Divisor of regression errors.
    pub(crate) scale: f64,
    /// Random trials do not begin after it.
    pub(crate) deadline: Option<Instant>,
}

/// Result of a candidate: none where its losses are not numbers or it came too late; a failed fit
/// puts the candidate out, not the run.
type Outcome = Result<Option<Tried>, Error>;

/// A trial that ended, with the rows it was fitted on.
struct Ended {
    place: usize,
    rows: usize,
    outcome: Outcome,
}

impl Trials<'_> {
    /// Tries them all on `spec.threads` threads; one result per candidate, in the order of all
    /// candidates, whichever ended first.
    pub(crate) fn run(self, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Outcome>, Error> {
        let length = self.test.len();
        let rows: Vec<u32> = (0..u32::try_from(length).unwrap_or(0)).collect();
        let test = take_rows(&self.data.rows.slice(self.test.start, length), &rows)?;
        let threads = self.workers();
        let queue = Mutex::new(self.places.iter().copied().collect::<VecDeque<_>>());
        let (sender, receiver) = channel();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let (sender, this, queue, test) = (sender.clone(), &self, &queue, &test);
                    scope.spawn(move || {
                        let result = this.work(queue, test, &sender);
                        if result.is_err() {
                            // The run has failed: nobody need go on.
                            queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                        }
                        result
                    })
                })
                .collect();
            drop(sender);
            let collected = self.collect(&receiver, progress);
            // All are joined before any is looked at: a panic that nobody took would be ours. It must
            // not look like a candidate without a result either.
            let ends: Vec<_> = workers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            for end in ends {
                end.map_err(|_| Error::NoCandidate { detail: "a trial panicked".to_owned() })??;
            }
            Ok(collected)
        })
    }

    /// Threads, each of which fits one candidate at a time.
    fn workers(&self) -> usize {
        usize::try_from(self.spec.threads).unwrap_or(1).clamp(1, self.places.len().max(1))
    }

    fn collect(&self, ended: &Receiver<Ended>, progress: &mut dyn FnMut(Progress)) -> Vec<Outcome> {
        let mut out: Vec<Outcome> = self.candidates.iter().map(|_| Ok(None)).collect();
        let (mut trial, mut best) = (0, None::<f64>);
        for Ended { place, rows, outcome } in ended {
            if let Ok(Some(tried)) = &outcome {
                let loss = mean(&tried.losses.rank);
                best = Some(best.map_or(loss, |b| b.min(loss)));
            }
            if let Some(slot) = out.get_mut(place) {
                *slot = outcome;
            }
            trial += 1;
            progress(Progress { trial, best, ..Progress::new("trial", rows) });
        }
        out
    }

    /// One thread: takes candidates family by family, so that rows are prepared once for several.
    fn work(
        &self,
        queue: &Mutex<VecDeque<usize>>,
        test: &arrow::array::RecordBatch,
        ended: &Sender<Ended>,
    ) -> Result<(), Error> {
        let threads_each = self.spec.threads / u32::try_from(self.workers()).unwrap_or(1).max(1);
        let mut next = self.take(queue, None);
        while let Some(first) = next {
            let Some(family) = self.candidates.get(first).map(|c| c.family) else { break };
            let Some(trainer) = self.candidates.get(first).and_then(|c| self.families.get(c)) else { break };
            let prepared = Prepared::new(self.spec, self.data, self.training, trainer)?;
            let features = prepared.preprocessor.apply(test)?;
            let mut fitter = trainer.open(prepared.rows(self.spec, threads_each))?;
            while let Some(place) = next {
                let outcome = self.one(place, fitter.as_mut(), &features);
                if ended.send(Ended { place, rows: prepared.len(), outcome }).is_err() {
                    return Ok(());
                }
                next = self.take(queue, Some(family));
            }
            next = self.take(queue, None);
        }
        Ok(())
    }

    /// The next candidate of a family, or of any.
    fn take(&self, queue: &Mutex<VecDeque<usize>>, family: Option<usize>) -> Option<usize> {
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of = |place: &usize| self.candidates.get(*place).map(|c| c.family) == family;
        let at = if family.is_some() { queue.iter().position(is_of)? } else { 0 };
        queue.remove(at)
    }

    fn one(&self, place: usize, fitter: &mut dyn Fitter, features: &FeatureMatrix) -> Outcome {
        let Some(candidate) = self.candidates.get(place) else { return Ok(None) };
        let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if candidate.origin == "trial" && is_late {
            return Ok(None);
        }
        let Fit { model, .. } = fitter.fit(&candidate.parameters)?;
        let mut scores = Vec::new();
        model.predict(features, &mut scores)?;
        let labels = self.data.labels.get(self.test.clone()).unwrap_or_default();
        let losses = losses(self.spec.shape(), &scores, labels, self.scale);
        Ok(mean(&losses.rank).is_finite().then_some(Tried { scores, losses }))
    }
}
