//! Holds the workspace test binary only.
