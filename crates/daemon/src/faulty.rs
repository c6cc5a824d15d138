//! The `vigie` binary with deliberate faults on request: see the module `faults` of the `kafka` crate.

fn main() -> std::process::ExitCode {
    vigie::main()
}
