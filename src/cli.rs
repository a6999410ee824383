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
mod output;
mod ready;
mod sandbox;
mod serve;
mod starting;

use std::{ffi::OsString, io, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, error::ErrorKind};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{Environment, Refused},
    listen, secrets,
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
    listen::raise_descriptor_limit();
    listen::use_small_pages();
    // Whatever speaks TLS later takes this one; another that was there already is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ended = environment(std::env::vars_os())
        .map_err(anyhow::Error::from)
        .and_then(|environment| run(arguments.command, environment));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format_args!("zoho-mcp: {error:#}"));
            // As sysexits.h has it: the command was used with a bad configuration.
            let misused = error.is::<Refused>()
                || error.is::<BadConfiguration>()
                || error.is::<NotUtf8>()
                || error.is::<keys::BadArgument>()
                || error.is::<healthcheck::BadUrl>()
                || error.is::<audit::BadArguments>();
            if misused {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

fn run(command: Command, environment: Environment) -> anyhow::Result<()> {
    match command {
        Command::Demo(listen) => block_on(demo::run(listen, environment)),
        Command::Serve(serve) => block_on(serve::run(serve, environment)),
        Command::Check(check) => block_on(check::run(check, environment, &mut output::standard())),
        Command::Healthcheck(healthcheck) => block_on(healthcheck::run(healthcheck)),
        Command::Keys(command) => keys::run(command, &environment, &mut std::io::stdout().lock()),
        Command::Limits(command) => block_on(limits::run(command, environment)),
        Command::Audit(command) => audit::run(command, &environment),
        Command::Sandbox(listen) => block_on(sandbox::run(listen)),
    }
}

/// What of the environment is text. Other programs' variables need not be; one of ours has to.
fn environment(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Environment, NotUtf8> {
    let mut environment = Environment::new();
    for (name, value) in variables {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                environment.insert(name, value);
            }
            (Ok(name), Err(_)) if name.starts_with(OURS) => return Err(NotUtf8(name)),
            (Err(name), _) if name.as_encoded_bytes().starts_with(OURS.as_bytes()) => {
                return Err(NotUtf8(name.to_string_lossy().into_owned()));
            }
            _ => {}
        }
    }
    Ok(environment)
}

/// A variable that is meant for us and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}: the environment variable is not UTF-8\n  remedy: set it to a text, or unset it")]
struct NotUtf8(String);

/// A configuration that reads well and cannot be used: a secret is missing, say.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct BadConfiguration(anyhow::Error);

const USAGE: u8 = 64;
const OURS: &str = "ZOHO_MCP__";

fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(USAGE),
    }
}

/// A file at its largest permitted size is an error of writing like any other, and not the end of
/// the process.
fn outlive_large_files() -> io::Result<()> {
    // Tokio's handler stays for as long as the process does.
    signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        outlive_large_files()?;
        command.await
    });
    // A thread that is stuck, in a pipe that nobody reads say, must not keep the process.
    runtime.shutdown_timeout(STRAGGLERS);
    ended
}

/// For threads that block when a command has ended.
const STRAGGLERS: Duration = Duration::from_millis(500);
