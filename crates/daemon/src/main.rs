//! The `vigie` binary.

fn main() {}
