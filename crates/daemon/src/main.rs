//! The `vigie` binary.

fn main() -> std::process::ExitCode {
    daemon::main()
}
