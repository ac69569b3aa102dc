//! The gateway's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    paygate::cli::main()
}
