//! From configuration to the values each stage wants.

use crate::config::Config;
use crate::config::checks::classes;
use crate::effects::Effects;
use crate::formats;
use crate::topics::Layout;
use domain::{Slices, Stage, Task};
use measure::Shape;
use std::sync::Arc;
use track::{IntakeConfig, JoinConfig, Rules};

/// How stream time is cut.
fn slices(config: &Config) -> Slices {
    Slices::of(config.windows.length.as_ms())
}

/// What a score looks like.
pub(crate) fn shape(config: &Config) -> Shape {
    let classes = match config.pipeline.task {
        Task::Regression => 0,
        _ => classes(config).map_or(2, |c| c.len()),
    };
    Shape { task: config.pipeline.task, classes }
}

/// The score stage.
pub(crate) fn score(config: &Config, layout: &Layout) -> anyhow::Result<Box<dyn Stage>> {
    let segments = config
        .segments
        .iter()
        .map(|s| score::Segment { name: s.name.clone(), column: s.column.clone() })
        .collect();
    Ok(Box::new(score::Stage::new(score::Config {
        format: formats::events(config),
        task: config.pipeline.task,
        classes: classes(config).unwrap_or_default(),
        slices: slices(config),
        lateness_ms: config.windows.lateness.as_ms(),
        max_skew_ms: config.windows.max_skew.as_ms(),
        horizon_ms: config.labels.horizon.as_ms(),
        tracking_partitions: layout.tracking,
        predictions_partitions: layout.predictions,
        rejected_partitions: layout.predictions,
        segments,
    })?))
}

/// The intake stage.
pub(crate) fn intake(config: &Config, layout: &Layout) -> anyhow::Result<Box<dyn Stage>> {
    Ok(Box::new(track::Intake::new(IntakeConfig {
        format: formats::labels(config),
        slices: slices(config),
        lateness_ms: config.windows.lateness.as_ms(),
        max_skew_ms: config.windows.max_skew.as_ms(),
        tracking_partitions: layout.tracking,
        rejected_partitions: layout.predictions,
        align: None,
    })?))
}

/// The join stage.
pub(crate) fn join(config: &Config, layout: &Layout) -> Box<dyn Stage> {
    Box::new(track::Join::new(JoinConfig {
        rules: Rules {
            slices: slices(config),
            horizon_ms: config.labels.horizon.as_ms(),
            maturity_ms: config.labels.maturity.as_ms(),
            orphan_after_ms: config.windows.lateness.as_ms(),
        },
        shape: shape(config),
        event_partitions: layout.event_partitions(),
        label_partitions: layout.label_partitions(),
    }))
}
