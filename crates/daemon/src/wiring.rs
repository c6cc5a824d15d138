//! From configuration to the values each stage wants.

use crate::config::Config;
use crate::config::checks::{classes, cost};
use crate::config::duration::Span;
use crate::config::file::{RetrainOn, Segment, TimeUnit};
use crate::effects::Effects;
use crate::formats;
use crate::topics::Layout;
use domain::{EventWatermark, Slices, Stage, Task};
use measure::Shape;
use records::SwapTable;
use records::control::Run;
use std::sync::Arc;
use track::{Align, IntakeConfig, JoinConfig, Rules};

/// How stream time is cut.
fn slices(config: &Config) -> Slices {
    Slices::of(config.windows.length.as_ms())
}

/// What a score looks like.
pub(crate) fn shape(config: &Config) -> Shape {
    let classes = classes(config).map_or(2, |c| c.len());
    Shape { task: config.pipeline.task, classes }
}

/// The score stage; under a swap table it does what another run did.
pub(crate) fn score(
    config: &Config,
    layout: &Layout,
    swaps: Option<&Arc<SwapTable>>,
    watermark: &Arc<EventWatermark>,
) -> anyhow::Result<Box<dyn Stage>> {
    let segment = |s: &Segment| score::Segment { name: s.name.clone(), column: s.column.clone(), drift: s.drift };
    let segments = config.segments.iter().map(segment).collect();
    let stage = score::Stage::new(score::Config {
        format: formats::events(config),
        task: config.pipeline.task,
        classes: classes(config).unwrap_or_default(),
        slices: slices(config),
        lateness_ms: config.windows.lateness.as_ms(),
        max_skew_ms: config.windows.max_skew.as_ms(),
        horizon_ms: config.horizon_ms(),
        tracking_partitions: layout.tracking,
        predictions_partitions: layout.predictions,
        prediction_bytes_max: layout.prediction_bytes_max,
        rejected: layout.rejected(),
        segments,
        swaps: swaps.cloned(),
    })?;
    Ok(Box::new(stage.telling(Arc::clone(watermark))))
}

/// The intake stage.
pub(crate) fn intake(
    config: &Config,
    layout: &Layout,
    watermark: &Arc<EventWatermark>,
) -> anyhow::Result<Box<dyn Stage>> {
    let Some(format) = formats::labels(config) else {
        anyhow::bail!("stage intake reads labels, and pipeline `{}` has none", config.pipeline.name);
    };
    Ok(Box::new(track::Intake::new(IntakeConfig {
        format,
        slices: slices(config),
        lateness_ms: config.windows.lateness.as_ms(),
        max_skew_ms: config.windows.max_skew.as_ms(),
        tracking_partitions: layout.tracking,
        rejected: layout.rejected(),
        align: Some(Align { events: Arc::clone(watermark), align_ms: config.windows.align.as_ms() }),
    })?))
}

/// The join stage.
pub(crate) fn join(config: &Config, layout: &Layout) -> Box<dyn Stage> {
    Box::new(track::Join::new(JoinConfig {
        rules: Rules {
            slices: slices(config),
            horizon_ms: config.horizon_ms(),
            maturity_ms: config.maturity_ms(),
            orphan_after_ms: config.windows.lateness.as_ms(),
        },
        shape: shape(config),
        event_partitions: layout.event_partitions(),
        label_partitions: layout.label_partitions(),
        unlabelled: config.unlabelled(),
        exact_areas: config.accuracy.exact_areas,
        rows_max: track::ROWS_MAX,
    }))
}

/// The judge stage; under a swap table it decides nothing.
pub(crate) fn judge(config: &Config, layout: &Layout, swaps: Option<&Arc<SwapTable>>) -> Box<dyn Stage> {
    let retrain = &config.retrain;
    Box::new(judge::Judge::new(judge::Config {
        pipeline: config.pipeline.name.clone(),
        slices: slices(config),
        maturity_ms: config.maturity_ms(),
        horizon_ms: config.horizon_ms(),
        lateness_ms: config.windows.lateness.as_ms(),
        lead_ms: retrain.lead.as_ms(),
        event_partitions: layout.event_partitions(),
        label_partitions: layout.label_partitions(),
        tracking_partitions: usize::try_from(layout.tracking).unwrap_or(1),
        shape: shape(config),
        unlabelled: config.unlabelled(),
        cost: cost(config),
        quantile: config.accuracy.quantile,
        false_alarms: judge::Budget {
            count: config.alerts.false_alarms.count,
            period_ms: config.alerts.false_alarms.period.as_ms(),
        },
        drift_tolerance: config.alerts.drift_tolerance,
        joint_tolerance: config.alerts.joint_tolerance,
        classic: config.alerts.classic,
        retrain: judge::Retrain {
            on_harm: retrain.on.contains(&RetrainOn::Harm),
            on_new_labels: retrain.on.contains(&RetrainOn::NewLabels),
            cool_down: retrain.cool_down,
            wait_for_runs: retrain.wait_for_runs,
            baseline: retrain.baseline,
            ..judge::Retrain::default()
        },
        imposed: swaps.map(|table| table.promotions().cloned().collect()),
    }))
}

/// What the judge must know of a bundle.
pub(crate) fn known(bundle: &bundle::Bundle) -> judge::Known {
    judge::Known {
        reference: bundle.reference.as_ref().clone(),
        class_rates: bundle.manifest.class_rates.clone(),
        segments: bundle.segments.counts.clone(),
        wander: bundle.wander.clone(),
        kernel: bundle.kernel.clone(),
        gap: match &bundle.errors {
            Some(errors) => errors.gap,
            None => bundle.calibrated.as_ref().and_then(|calibrated| calibrated.gap),
        },
        interval: bundle.manifest.interval,
    }
}

/// The archive stage; it stores before it lets the runner commit.
pub(crate) fn archive(config: &Config, effects: &Effects) -> anyhow::Result<Box<dyn Stage>> {
    let stage = archive::Archive::new(
        archive::Config {
            pipeline: config.pipeline.name.clone(),
            label_topics: config.label_topics(),
            events: formats::events(config),
            labels: formats::labels(config),
            slices: slices(config),
            lateness_ms: config.windows.lateness.as_ms(),
            max_skew_ms: config.windows.max_skew.as_ms(),
            maturity_ms: config.maturity_ms(),
            rows_max: archive::config::ROWS_MAX,
            bytes_max: archive::config::BYTES_MAX,
        },
        Box::new(Blocking(effects.clone())),
    )?;
    Ok(Box::new(stage))
}

/// The object store for a stage's own thread.
struct Blocking(Effects);

impl archive::Put for Blocking {
    fn put(&self, file: &store::ArchiveFile, rows: &arrow::array::RecordBatch) -> Result<(), store::Error> {
        self.0.runtime().block_on(self.0.store().put_rows(file, rows))
    }
}

/// What every training run of a pipeline has in common.
fn spec(config: &Config, cut_off_ms: i64, cause: train::Cause) -> train::Spec {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let limit = Span::parse(&config.train.time_limit).ok();
    train::Spec {
        pipeline: config.pipeline.name.clone(),
        store: config.registry.url.clone(),
        schema: formats::schema(config),
        task: config.pipeline.task,
        classes: classes(config).unwrap_or_default(),
        positive_class: config
            .pipeline
            .positive_class
            .clone()
            .filter(|_| config.pipeline.task == Task::BinaryClassification),
        recipe: config.features.clone(),
        families: config.families(),
        trials: number(config.train.trials),
        threads: number(config.train.threads),
        seed: config.train.seed,
        time_limit_ms: limit.and_then(|l| u64::try_from(l.as_ms()).ok()),
        cut_off_ms,
        maturity_ms: config.maturity_ms(),
        slice_ms: config.windows.length.as_ms(),
        horizon_ms: config.horizon_ms(),
        unlabelled: config.unlabelled(),
        cause,
        champion: None,
        first_rows: None,
        change_ms: None,
        rows_since_change: None,
        segments: config.segments.iter().map(|s| s.column.clone()).collect(),
        drift_segments: drift_segments(config),
        gates: train::Gates::default(),
        multivariate: config.alerts.multivariate,
        interval: config.accuracy.interval.unwrap_or(train::INTERVAL_SHARE),
        anomaly_share: config.train.anomaly_share.unwrap_or(train::ANOMALY_SHARE),
        clusters: config.train.clusters,
    }
}

fn drift_segments(config: &Config) -> Vec<train::DriftSegment> {
    let watched = config.segments.iter().filter(|segment| segment.drift);
    watched.map(|s| train::DriftSegment { name: s.name.clone(), column: s.column.clone() }).collect()
}

/// The first training.
pub(crate) fn first_spec(config: &Config, until_ms: i64) -> train::Spec {
    spec(config, until_ms, train::Cause::First)
}

/// A run that the judge ordered.
pub(crate) fn run_spec(config: &Config, order: &Run) -> train::Spec {
    train::Spec {
        champion: Some(order.champion.clone()),
        first_rows: Some(order.first_rows),
        change_ms: order.change_ms,
        rows_since_change: order.rows_since_change,
        ..spec(config, order.cut_off_ms, train::Cause::Trigger(order.trigger))
    }
}

/// Which columns of a user's files mean what.
pub(crate) fn seed_spec(config: &Config, until_ms: Option<i64>) -> anyhow::Result<train::SeedSpec> {
    let column = |text: &str, key: &str| {
        anyhow::ensure!(!text.starts_with('$'), "{key} is `{text}`; training from files needs a column");
        Ok::<String, anyhow::Error>(text.to_owned())
    };
    let unit = |unit: TimeUnit| match unit {
        TimeUnit::S => train::TimeUnit::Second,
        TimeUnit::Us => train::TimeUnit::Microsecond,
        TimeUnit::Ns => train::TimeUnit::Nanosecond,
        TimeUnit::Rfc3339 | TimeUnit::Ms => train::TimeUnit::Millisecond,
    };
    let labels = match &config.labels {
        Some(labels) => Some(train::LabelColumns {
            id: column(&labels.id, "labels.id")?,
            time: column(&labels.time, "labels.time")?,
            time_unit: unit(labels.time_unit),
            value: labels.value.clone(),
        }),
        None => None,
    };
    Ok(train::SeedSpec {
        schema: formats::schema(config),
        event_id: column(&config.events.id, "events.id")?,
        event_time: column(&config.events.time, "events.time")?,
        event_time_unit: unit(config.events.time_unit),
        labels,
        task: config.pipeline.task,
        classes: classes(config).unwrap_or_default(),
        until_ms,
    })
}
