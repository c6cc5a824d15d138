//! A run from end to end: data set, folds, search, refit, gate, bundle.

use crate::data_set::{self, DataSet};
use crate::evaluate::{self, Losses};
use crate::folds::{self, Fold};
use crate::gate::{Decision, Evidence, decide};
use crate::search::{Chosen, Families, search};
use crate::spec::COLUMNS_TOGETHER_MAX;
use crate::trainer::Fit;
use crate::trials::Prepared;
use crate::{Error, Progress, Spec, errors, outputs, reconstruction, reference};
use bundle::{Bundle, Calibrated, ErrorModels, Manifest, Packed, Parts};
use domain::{HarmReference, Slices, Task};
use measure::PredictionInterval;
use profile::{Kernel, Reconstruction};
use records::journal::Challenger;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;
use store::Store;

/// Rows timed for the latency gate.
const TIMED_ROWS: usize = 64;

/// Runs a spec: reads the archive, trains, judges, stores the bundle whatever the verdict, and
/// reports. The same spec on the same archive gives the same version, unless `time_limit_ms`
/// ended the search.
///
/// # Errors
/// [`Error::NotEnoughData`], a faulty spec, a store that cannot be read or written, a trainer that
/// failed.
pub async fn run(spec: &Spec, progress: &mut dyn FnMut(Progress)) -> Result<Challenger, Error> {
    let store = Store::open(&spec.store)?;
    run_in(&store, spec, progress).await
}

/// As [`run`], in a store that is open; `spec.store` is not looked at.
///
/// # Errors
/// As [`run`].
pub async fn run_in(store: &Store, spec: &Spec, progress: &mut dyn FnMut(Progress)) -> Result<Challenger, Error> {
    spec.check()?;
    let data = data_set::load(store, spec).await?;
    progress(Progress::new("data_set", data.len()));
    let champion = match &spec.champion {
        Some(version) => Some(store.bundle(version).await?),
        None => None,
    };
    let (packed, challenger) = train(spec, &data, champion.as_ref(), progress)?;
    store.put_bundle(&packed).await?;
    progress(Progress::new("stored", data.len()));
    Ok(challenger)
}

/// Everything between the archive and the store.
fn train(
    spec: &Spec,
    data: &DataSet,
    champion: Option<&Bundle>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Packed, Challenger), Error> {
    let folds = folds::plan(spec, data, champion.map(|b| b.manifest.trained_until_ms))?;
    let Some(newest) = folds.first() else {
        return Err(Error::NotEnoughData { what: "validation folds", found: 0, expected: 1 });
    };
    check_classes(spec, data, newest)?;
    let families = Families::of(spec)?;
    let scale = scale(spec, data, newest);
    let chosen = search(spec, data, &folds, (&families, champion), scale, progress)?;
    progress(Progress::new("refit", data.len()));
    let trainer =
        families.get(&chosen.candidate).ok_or_else(|| Error::NoCandidate { detail: "no family".to_owned() })?;
    let everything: Vec<u32> = (0..u32::try_from(data.len()).unwrap_or(u32::MAX)).collect();
    let prepared = Prepared::new(spec, data, &everything, trainer)?;
    let fit = trainer.open(prepared.rows(spec, spec.threads))?.fit(&chosen.candidate.parameters)?;
    progress(Progress::new("gate", newest.test.len()));
    let mut judged = judge(spec, data, newest, (&chosen, &fit, &prepared), champion, scale)?;
    let family = trainer.family().to_owned();
    let rows = prepared.len() as u64;
    progress(Progress::new("reference", data.len()));
    // Who is refused serves nobody: the newest fold's scores do.
    let parameters = &chosen.candidate.parameters;
    let outputs = match (judged.decision.passed, spec.task) {
        // Clusters of another fit have other numbers. Middles of many rows know none of them by heart.
        (_, Task::Clustering) => Some(prepared.scores(&fit.model)?),
        (false, _) => None,
        (true, _) => outputs::out_of_fold(spec, data, trainer, parameters),
    };
    let errors = match &outputs {
        Some(out_of_fold) => {
            let (fold, chosen) = (newest.test.clone(), chosen.scores.as_slice());
            let predicted = errors::Predicted { out_of_fold, fold, chosen, scale };
            errors::fit(spec, data, &prepared, &predicted)?
        }
        None => None,
    };
    let outputs = outputs.map(|scores| outputs::sharpened(scores, &newest.test, &chosen.scores));
    let together = Together::fit(spec, data)?;
    judged.decision.verdicts.extend(together.missing(spec));
    let expected = Expected { outputs, errors, together };
    let packed = pack(spec, data, (chosen, fit, prepared), (judged.clone(), expected), champion, &family)?;
    let challenger = Challenger {
        version: packed.version.clone(),
        family,
        trained_until_ms: cut_off(spec),
        rows,
        reference: judged.reference,
        passed: judged.decision.passed,
        verdicts: judged.decision.verdicts,
        challenger_loss: judged.loss,
        champion_loss: judged.champion_loss,
        difference_standard_error: judged.decision.difference_error,
    };
    Ok((packed, challenger))
}

fn cut_off(spec: &Spec) -> i64 {
    Slices::of(spec.slice_ms).start(spec.cut_off_ms)
}

/// A class without rows on the training side cannot be learnt.
fn check_classes(spec: &Spec, data: &DataSet, fold: &Fold) -> Result<(), Error> {
    if !matches!(spec.task, Task::BinaryClassification | Task::MulticlassClassification) {
        return Ok(());
    }
    let labels = fold.training.iter().filter_map(|&row| data.labels.get(row as usize).copied());
    let present = evaluate::rates(spec.shape(), labels).iter().filter(|rate| **rate > 0.0).count() as u64;
    if present < 2 {
        let what = "classes among the rows labelled before the validation fold";
        return Err(Error::NotEnoughData { what, found: present, expected: 2 });
    }
    Ok(())
}

/// Divisor of regression errors: twice the spread of the training labels, so that the loss of
/// always predicting their mean is about a quarter.
fn scale(spec: &Spec, data: &DataSet, fold: &Fold) -> f64 {
    if spec.task != Task::Regression {
        return 1.0;
    }
    let labels: Vec<f64> = fold.training.iter().filter_map(|&row| data.labels.get(row as usize).copied()).collect();
    let spread = evaluate::variance(&labels).sqrt() * 2.0;
    if spread > 0.0 && spread.is_finite() { spread } else { 1.0 }
}

/// What the newest fold says.
#[derive(Debug, Clone)]
struct Judged {
    decision: Decision,
    reference: HarmReference,
    metrics: BTreeMap<String, f64>,
    interval: Option<PredictionInterval>,
    calibrated: Option<Calibrated>,
    loss: f64,
    champion_loss: Option<f64>,
}

fn judge(
    spec: &Spec,
    data: &DataSet,
    fold: &Fold,
    (chosen, fit, prepared): (&Chosen, &Fit, &Prepared),
    champion: Option<&Bundle>,
    scale: f64,
) -> Result<Judged, Error> {
    let shape = spec.shape();
    let test: Range<usize> = fold.test.clone();
    let labels = data.labels.get(test.clone()).unwrap_or_default();
    let times = data.times_ms.get(test.clone()).unwrap_or_default();
    let groups = evaluate::test_slices(times, Slices::of(spec.slice_ms));
    let raw = data.rows.slice(test.start, test.len());
    let theirs: Option<(Vec<f64>, Losses)> = match champion {
        Some(bundle) => {
            let scores = bundle.apply(&raw)?.values;
            let losses = evaluate::losses(shape, &scores, labels, scale);
            Some((scores, losses))
        }
        None => None,
    };
    let baseline = spec.task.has_labels().then(|| {
        let training = fold.training.iter().filter_map(|&row| data.labels.get(row as usize).copied());
        let constant = evaluate::constant(&evaluate::rates(shape, training), shape, labels.len());
        evaluate::mean(&evaluate::losses(shape, &constant, labels, scale).rank)
    });
    let prior = evaluate::prior_losses(spec, data, &test, &groups, scale);
    let decision = decide(&Evidence {
        spec,
        data,
        test,
        groups: &groups,
        scores: &chosen.scores,
        losses: &chosen.losses,
        champion: theirs.as_ref().map(|(scores, losses)| (scores.as_slice(), losses)),
        baseline,
        cost: cost(data, fit, prepared)?,
    });
    let sums = evaluate::performance(shape, &chosen.scores, labels);
    let reference = evaluate::harm_reference(&chosen.losses.harm, &prior, &groups, scale);
    let reference = match spec.task {
        Task::Anomaly => evaluate::of_anomalies(reference, spec.anomaly_share, groups.len()),
        _ => reference,
    };
    Ok(Judged {
        decision,
        reference,
        metrics: sums.metrics().into_iter().map(|(name, estimate)| (name, estimate.value)).collect(),
        interval: interval(spec, &chosen.scores, labels),
        calibrated: evaluate::calibrated(shape, &chosen.scores, labels, &groups),
        loss: evaluate::mean(&chosen.losses.harm),
        champion_loss: theirs.as_ref().map(|(_, losses)| evaluate::mean(&losses.harm)),
    })
}

/// From the errors of the newest fold, which is like what comes next; of numbers only.
fn interval(spec: &Spec, scores: &[f64], labels: &[f64]) -> Option<PredictionInterval> {
    let errors = || -> Vec<f64> { scores.iter().zip(labels).map(|(score, label)| score - label).collect() };
    let found = (spec.task == Task::Regression).then(|| PredictionInterval::conformal(&errors(), spec.interval));
    found.flatten().filter(PredictionInterval::is_sound)
}

/// Bytes of the model, microseconds per row of a small batch.
#[allow(clippy::cast_precision_loss)]
fn cost(data: &DataSet, fit: &Fit, prepared: &Prepared) -> Result<(u64, f64), Error> {
    let rows = data.rows.slice(0, TIMED_ROWS.min(data.len()));
    let begin = Instant::now();
    let mut scores = Vec::new();
    fit.model.predict(&prepared.preprocessor.apply(&rows)?, &mut scores)?;
    let micros = begin.elapsed().as_secs_f64() * 1e6 / rows.num_rows().max(1) as f64;
    Ok((fit.model.to_bytes().len() as u64, micros))
}

/// What the model will say of rows it has not seen, and what these should be like.
struct Expected {
    outputs: Option<Vec<f64>>,
    errors: Option<ErrorModels>,
    together: Together,
}

/// What columns are watched together by, as far as the user asked and the rows allow.
struct Together {
    reconstruction: Option<Reconstruction>,
    kernel: Option<Kernel>,
}

impl Together {
    fn fit(spec: &Spec, data: &DataSet) -> Result<Self, Error> {
        let asked = spec.multivariate;
        let reconstruction = if asked.has_pca() { reconstruction::fit(&data.rows)? } else { None };
        let seed = spec.seed;
        let kernel = if asked.has_mmd() { Kernel::fit(&data.rows, COLUMNS_TOGETHER_MAX, seed)? } else { None };
        Ok(Self { reconstruction, kernel })
    }

    /// What was asked for and is not there, so that nobody waits for its alerts.
    fn missing(&self, spec: &Spec) -> Option<String> {
        let pca = (spec.multivariate.has_pca() && self.reconstruction.is_none()).then_some("pca");
        let mmd = (spec.multivariate.has_mmd() && self.kernel.is_none()).then_some("mmd");
        let missing: Vec<&str> = pca.into_iter().chain(mmd).collect();
        let what = missing.join(" and ");
        (!missing.is_empty())
            .then(|| format!("multivariate: told (no {what}: these rows have too few columns that vary)"))
    }
}

fn pack(
    spec: &Spec,
    data: &DataSet,
    (chosen, fit, prepared): (Chosen, Fit, Prepared),
    (judged, expected): (Judged, Expected),
    champion: Option<&Bundle>,
    family: &str,
) -> Result<Packed, Error> {
    let importance = reference::importance(spec, &fit, prepared.preprocessor.features());
    let scores = expected.outputs.as_ref().unwrap_or(&chosen.scores);
    let Together { reconstruction, kernel } = expected.together;
    let profile = reference::profile(spec, data, (scores, importance), (reconstruction.as_ref(), kernel.as_ref()))?;
    let trained_until_ms = cut_off(spec);
    let manifest = Manifest {
        format_version: bundle::FORMAT_VERSION,
        parent: champion.map(|b| b.version.clone()),
        task: spec.task,
        classes: spec.classes.clone(),
        positive_class: spec.positive_class.clone(),
        family: family.to_owned(),
        parameters: chosen.candidate.parameters,
        input: spec.schema.clone(),
        rows: prepared.len() as u64,
        first_rows: spec.first_rows.unwrap_or(data.len() as u64),
        trained_from_ms: data.times_ms.first().copied().unwrap_or(trained_until_ms),
        trained_until_ms,
        label_cut_off_ms: spec.cut_off_ms.saturating_add(spec.maturity_ms),
        seed: spec.seed,
        reference: judged.reference,
        metrics: judged.metrics,
        class_rates: evaluate::rates(spec.shape(), data.labels.iter().copied()),
        interval: judged.interval,
        verdicts: judged.decision.verdicts,
        search: chosen.log,
        files: Vec::new(),
        requires: Vec::new(),
        producer: BTreeMap::from([
            ("name".to_owned(), "vigie".to_owned()),
            ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ]),
    };
    let golden = reference::golden(spec, data)?;
    Ok(bundle::pack(Parts {
        manifest_without_files: manifest,
        preprocessor: prepared.preprocessor,
        model: fit.model,
        reference: profile.reference,
        golden,
        calibrated: judged.calibrated,
        errors: expected.errors,
        wander: Some(profile.wander),
        segments: profile.segments,
        reconstruction,
        kernel,
    })?)
}
