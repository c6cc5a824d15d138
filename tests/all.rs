//! All workspace tests in one binary.
