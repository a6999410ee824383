//! The commands; one file each.

mod audit;
mod banner;
mod check;
mod daemon;
mod demo;
mod healthcheck;
mod keys;
mod limits;
mod ops;
mod ready;
mod sandbox;
mod serve;
mod starting;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::{
    config::{Environment, Refused},
    secrets,
};

/// An MCP server that a company trusts with its live Zoho CRM.
#[derive(Parser)]
#[command(name = "zoho-mcp", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Try it out: the daemon, a CRM sandbox with invented data and three clients, in one process
    Demo(Listen),
    /// Run the daemon
    Serve(Serve),
    /// Validate a configuration: what is wrong, where, and how to mend it
    Check(check::Check),
    /// Ask a running daemon whether it can work; for containers without a shell
    Healthcheck(healthcheck::Healthcheck),
    /// Issue, list, rotate and retire API keys
    Keys(keys::KeysCommand),
    /// See how much of each limit is used
    Limits(limits::LimitsCommand),
    /// Prove an audit log complete and unaltered, and retell what happened from it
    Audit(audit::AuditCommand),
    /// Run the CRM sandbox alone
    Sandbox(sandbox::Alone),
}

#[derive(clap::Args)]
struct Listen {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:3000 for demo, :4000 for sandbox]
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Once it answers, write what is needed to use it here, as one JSON object
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Serve {
    /// The configuration; config/default.toml in the repository explains every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Once it answers, write where as one JSON object here
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Runs the command that the process's arguments name.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    secrets::keep_out_of_core_dumps();
    // Whatever speaks TLS later takes this one; another that was there already is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let environment: Environment = std::env::vars().collect();
    let ended = match arguments.command {
        Command::Demo(listen) => block_on(demo::run(listen, environment)),
        Command::Serve(serve) => block_on(serve::run(serve, environment)),
        Command::Check(check) => block_on(check::run(check, environment)),
        Command::Healthcheck(healthcheck) => block_on(healthcheck::run(healthcheck)),
        Command::Keys(command) => keys::run(command, &environment, &mut std::io::stdout().lock()),
        Command::Limits(command) => block_on(limits::run(command, environment)),
        Command::Audit(command) => audit::run(command, &environment),
        Command::Sandbox(listen) => block_on(sandbox::run(listen)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zoho-mcp: {error:#}");
            // As sysexits.h has it: the command was used with a bad configuration.
            let misused = error.is::<Refused>()
                || error.is::<BadConfiguration>()
                || error.is::<keys::BadArgument>()
                || error.is::<audit::BadArguments>();
            if misused {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// A configuration that reads well and cannot be used: a secret is missing, say.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct BadConfiguration(anyhow::Error);

const USAGE: u8 = 64;

fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(command);
    // A thread that is stuck, in a pipe that nobody reads say, must not keep the process.
    runtime.shutdown_timeout(STRAGGLERS);
    ended
}

/// For threads that block when a command has ended.
const STRAGGLERS: Duration = Duration::from_millis(500);
