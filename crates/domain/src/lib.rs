//! The words every other crate shares: schema, batches, ids, slices, watermarks, and what a stage is.
//!
//! It does no I/O, reads no clock and spawns nothing.
//! Read in this order: [`stage`] (what a stage is), [`batch`] (what goes in), [`output`] (what
//! comes out), [`time`], [`event_watermark`], [`line_up`] (which versions score), [`schema`],
//! [`feature`], [`fixed`], [`unlabelled`].

pub mod batch;
pub mod error;
pub mod event_watermark;
pub mod feature;
pub mod fixed;
pub mod ids;
pub mod line_up;
pub mod output;
pub mod schema;
pub mod stage;
pub mod time;
pub mod unlabelled;

pub use batch::{Header, RawBatch, RawRecord};
pub use error::ErrorClass;
pub use event_watermark::EventWatermark;
pub use feature::FeatureMatrix;
pub use fixed::Fixed;
pub use ids::{Fingerprint, SourcePartition, Version, fingerprint};
pub use line_up::{Harm, HarmReference, LineUp, Member};
pub use output::{Count, Effect, OutputRecord, Outputs, TopicRole};
pub use schema::{CLUSTER_OUTPUTS, EventSchema, Field, FieldType, Task};
pub use stage::{Input, Prepared, Preparer, Stage, StageError};
pub use time::{Slices, Watermarks};
pub use unlabelled::Unlabelled;
