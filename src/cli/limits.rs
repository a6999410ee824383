//! `zoho-mcp limits`: how much of each limit is used, as all instances together know it.

use std::{io::Write, path::PathBuf, sync::Arc};

use anyhow::Context as _;

use crate::{
    app::{pseudonym_key, redis_passwords},
    auth::User,
    cli::{BadConfiguration, output},
    config::{Config, Environment, Loaded},
    limit::{
        Names,
        usage::{Usage, usage},
    },
    store::Store,
};

/// Look at limits that are shared over Redis.
#[derive(clap::Args)]
pub(super) struct LimitsCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Show how much of each limit is used at the moment
    Show(Show),
}

#[derive(clap::Args)]
struct Show {
    /// The configuration that the daemons run with
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only this client, and what is everybody's
    #[arg(long, value_name = "NAME")]
    client: Option<Arc<str>>,
    /// Also this person: who issues their tokens, and the subject that is theirs there
    #[arg(long, num_args = 2, value_names = ["ISSUER", "SUBJECT"])]
    user: Option<Vec<Arc<str>>>,
    /// One JSON array instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: LimitsCommand, environment: Environment) -> anyhow::Result<()> {
    let Action::Show(show) = command.action;
    let loaded = Loaded::from_file(&show.config, &environment)?;
    let config = &loaded.config;
    anyhow::ensure!(
        config.redis.is_configured(),
        "redis.url is not set: limits are in the memory of each daemon, where nobody else can look"
    );
    let clients = clients(config, &show)?;
    let users: Vec<User> = match show.user.as_deref() {
        Some([issuer, subject]) => vec![User {
            issuer: issuer.clone(),
            subject: subject.clone(),
        }],
        _ => Vec::new(),
    };
    let rules = config
        .rules()
        .map_err(|_| anyhow::anyhow!("limits are out of range"))?;
    let passwords =
        redis_passwords(&loaded, &environment).map_err(|bad| BadConfiguration(bad.into()))?;
    let key = pseudonym_key(&loaded, &environment).map_err(|bad| BadConfiguration(bad.into()))?;
    let (store, keeper) = Store::new(&config.redis, &loaded.base, &passwords)
        .context("redis")
        .map_err(BadConfiguration)?;
    // The connection lives as long as its keeper.
    let _keeper = keeper
        .connect_once()
        .await
        .map_err(|unavailable| anyhow::anyhow!("redis: {}", unavailable.advice()))?;
    let names = Names::new(key.as_ref());
    let rows = usage(&store, &names, &rules, &clients, &users)
        .await
        .map_err(|unavailable| anyhow::anyhow!("redis: {}", unavailable.advice()))?;
    let mut out = output::standard();
    match show.json {
        true => writeln!(out, "{}", serde_json::to_string(&rows)?)?,
        false => table(&mut out, &rows)?,
    }
    Ok(())
}

/// All of them, also those that tokens alone bring into being; or the one that is asked for.
fn clients(config: &Config, show: &Show) -> anyhow::Result<Vec<Arc<str>>> {
    let known = config.policy().clients;
    let Some(client) = &show.client else {
        return Ok(known.into_keys().collect());
    };
    let names: Vec<&str> = known.keys().map(|name| &**name).collect();
    anyhow::ensure!(
        known.contains_key(client),
        "no client has the name {client}; they are: {}",
        names.join(", ")
    );
    Ok(vec![client.clone()])
}

fn table(out: &mut impl Write, rows: &[Usage]) -> std::io::Result<()> {
    let whose = |row: &Usage| match (&row.client, &row.tool, &row.subject) {
        (Some(client), Some(tool), _) => format!("{client}, {tool}"),
        (Some(client), None, _) => client.to_string(),
        (_, _, Some(subject)) => subject.to_string(),
        _ => "all".to_owned(),
    };
    let width = rows.iter().map(|row| whose(row).chars().count()).max();
    let width = width.unwrap_or(0).max(5);
    writeln!(
        out,
        "{:<15}  {:<width$}  {:>12}  {:<8}  FIRST LEAVES",
        "LIMIT", "WHOSE", "USED", "PER"
    )?;
    for row in rows {
        let used = format!("{}/{}", row.used, row.limit);
        let per = row.per.as_deref().unwrap_or("at once");
        let leaves = match row.reset_seconds {
            Some(seconds) if row.used > 0 => format!("in {seconds}s"),
            _ => String::new(),
        };
        let shadow = if row.shadow { "  (shadow)" } else { "" };
        writeln!(
            out,
            "{:<15}  {:<width$}  {used:>12}  {per:<8}  {leaves}{shadow}",
            row.dimension,
            whose(row)
        )?;
    }
    Ok(())
}
