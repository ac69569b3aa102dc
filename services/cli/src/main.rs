//! paygatectl: pays through a gateway and shows what provably happened.
//!
//! Owns: the process. Everything that is said to a gateway is `paygate_client`; everything that is shown is `ctl`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ctl;

use std::process::ExitCode;

use clap::Parser as _;

use ctl::args::Cli;
use ctl::exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; everything else is a slip of whoever typed.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            let _ = error.print();
            return exit.into();
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system gives a process its descriptors");
    runtime.block_on(ctl::run::run(cli)).into()
}
