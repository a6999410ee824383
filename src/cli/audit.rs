//! `zoho-mcp audit`: what an audit log proves and what it tells, from its files alone.

mod document;
mod doubt;
mod effect;
mod explain;
mod failure;
mod fate;
mod files;
mod gaps;
mod keygen;
mod losses;
mod mixed;
mod order;
mod page;
mod reason;
mod recent;
mod remedy;
mod search;
mod settings;
mod shortfall;
mod story;
mod telling;
mod unread;
mod verify;

use std::io;

use clap::Subcommand;

use self::page::Page;
use crate::{cli::output, config::Environment};

#[derive(clap::Args)]
pub(super) struct AuditCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Prove that a log is complete and unaltered, or say where it is not
    Verify(verify::Verify),
    /// Retell in plain words what was asked, decided and done
    Story(story::Story),
    /// Say why a call was refused or failed, and which line of the configuration would change it
    Explain(explain::Explain),
    /// Find the lines that are about a value, by its pseudonym
    Search(search::Search),
    /// Make a key that signs the log
    Keygen(keygen::Keygen),
}

/// The command was used with something that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub(super) struct BadArguments(anyhow::Error);

pub(super) fn run(command: AuditCommand, environment: &Environment) -> anyhow::Result<()> {
    let mut out = Page::new(io::BufWriter::new(output::standard()));
    let ended = match command.action {
        Action::Verify(verify) => verify::run(&verify, &mut out),
        Action::Story(story) => story::run(&story, &mut out),
        Action::Explain(explain) => explain::run(&explain, environment, &mut out),
        Action::Search(search) => search::run(&search, environment, &mut out),
        // Whoever does not get the public key has no pair.
        Action::Keygen(keygen) => keygen::run(&keygen, &mut io::stdout().lock()),
    };
    let flushed = out.flush();
    ended.and(flushed.map_err(Into::into))
}
