//! The program `reeve`. Everything is in the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    reeve::cli::main()
}
