//! What people look at: a view of a pipeline built from its topics, the closing table of a replay,
//! and the HTTP dashboard that shows the view live.
//!
//! It never decides anything and never writes to a topic; the data path does not wait for it.
//! Read in this order: [`view`], `shown`, [`summary`], [`table`], [`server`].

pub mod error;
pub mod server;
mod shown;
mod state;
pub mod summary;
pub mod table;
pub mod view;

pub use error::Error;
pub use summary::Summary;
pub use view::View;
