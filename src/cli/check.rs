//! `zoho-mcp check`: says what is wrong with a configuration before it is used.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use tokio::time::Instant;

use crate::{
    app::{App, Secrets},
    audit::Audit,
    auth::Authenticator,
    cli::{BadConfiguration, starting},
    config::{Environment, Loaded},
    limit::Trial,
    secrets,
    setting::SecretRef,
    store::Unavailable,
};

#[derive(clap::Args)]
pub(super) struct Check {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also read secrets in AWS, connect to Redis, and sign in to Zoho
    #[arg(long)]
    online: bool,
}

pub(super) async fn run(
    check: Check,
    environment: Environment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let loaded = Loaded::from_file(&check.config, &environment)?;
    writeln!(
        out,
        "ok       {}: read, every key understood",
        check.config.display()
    )?;
    for warning in &loaded.warnings {
        writeln!(out, "warning  {warning}")?;
    }
    let in_aws = |secret: &SecretRef| matches!(secret, SecretRef::Aws(_));
    if !check.online && loaded.config.secrets().any(in_aws) {
        writeln!(
            out,
            "skipped  secrets: some are in AWS; add --online to read them, and sign in to zoho"
        )?;
        return Ok(());
    }
    let secrets =
        Secrets::read(&loaded, &environment).map_err(|bad| BadConfiguration(bad.into()))?;
    writeln!(out, "ok       secrets: found")?;
    warn_of_open_files(&loaded, out)?;
    for warning in secrets.warnings(&loaded.config) {
        writeln!(out, "warning  {warning}")?;
    }
    Audit::check(&loaded.config.audit, &loaded.base)
        .map_err(|error| starting::cannot_log(&loaded, &error))?;
    writeln!(out, "ok       audit log: can be written")?;
    for warning in loaded.config.audit.warnings() {
        writeln!(out, "warning  {warning}")?;
    }
    let audit = Audit::discarding(loaded.config.audit.on_failure);
    let mut app = App::new(loaded.config.clone(), secrets, audit).map_err(BadConfiguration)?;
    say_who_can_call(&app.auth.authenticator, out)?;
    for warning in app.tls.warnings() {
        writeln!(out, "warning  {warning}")?;
    }
    for expiring in app.tls.expiring(jiff::Timestamp::now()) {
        writeln!(out, "warning  {expiring}")?;
    }
    if app.tls.is_on() {
        writeln!(out, "ok       TLS: certificate and key belong together")?;
    }
    check_redis(&mut app, check.online, out).await?;
    if check.online {
        reach_issuers(&app.auth.authenticator, out).await?;
        app.handler.0.zoho.sign_in().await.context(
            "zoho: could not sign in; check data_center, the credentials and the way out",
        )?;
        writeln!(out, "ok       zoho: signed in")?;
        try_owners(&app, out).await?;
    } else {
        writeln!(out, "skipped  zoho: add --online to sign in there")?;
    }
    Ok(())
}

/// Anybody may read an issuer's public key.
fn warn_of_open_files(loaded: &Loaded, out: &mut impl Write) -> io::Result<()> {
    let issuers = &loaded.config.auth.jwt;
    let is_public = |secret: &&SecretRef| {
        let mut public = issuers
            .iter()
            .filter_map(|issuer| issuer.public_key.as_ref());
        public.any(|key| key == *secret)
    };
    for secret in loaded.config.secrets().filter(|secret| !is_public(secret)) {
        if let Some(warning) = secrets::exposed(secret, &loaded.base) {
            writeln!(out, "warning  {warning}")?;
        }
    }
    Ok(())
}

async fn check_redis(app: &mut App, online: bool, out: &mut impl Write) -> anyhow::Result<()> {
    match app.redis.take() {
        None => writeln!(out, "ok       redis: none, so run one instance")?,
        Some(_) if !online => writeln!(out, "skipped  redis: add --online to connect")?,
        Some(keeper) => {
            let connected = keeper.connect_once().await;
            let unusable =
                |unavailable: Unavailable| anyhow::anyhow!("redis: {}", unavailable.advice());
            // The connection lives as long as its keeper.
            let keeper = connected.map_err(unusable)?;
            let missing = keeper.store().missing_rights().await.map_err(unusable)?;
            if !missing.is_empty() {
                anyhow::bail!(
                    "redis: the user may not run {}; add +{} to its rights, as docs/limits.md has \
                     them",
                    missing.join(", "),
                    missing.join(" +")
                );
            }
            let tried = app.limit.limiter.try_out().await.map_err(unusable)?;
            writeln!(out, "ok       redis: connected, takes writes, counts calls")?;
            if let Some(trial) = tried {
                warn_of_redis(&trial, out)?;
            }
        }
    }
    Ok(())
}

fn warn_of_redis(trial: &Trial, out: &mut impl Write) -> io::Result<()> {
    if !trial.is_known {
        writeln!(
            out,
            "warning  redis: the user may not run INFO, so a Redis that starts again at once out of \
             a snapshot goes unnoticed; add +info to its rights"
        )?;
    }
    if let Some(policy) = &trial.evicts {
        writeln!(
            out,
            "warning  redis: it throws keys away when it is full ({policy}), and calls with them; \
             set maxmemory-policy noeviction"
        )?;
    }
    Ok(())
}

fn say_who_can_call(authenticator: &Authenticator, out: &mut impl Write) -> io::Result<()> {
    if authenticator.accepts_keys() {
        let usable = authenticator.keys().usable(jiff::Timestamp::now());
        writeln!(
            out,
            "{}  API keys: {usable} usable",
            if usable > 0 { "ok     " } else { "warning" }
        )?;
    }
    for server in authenticator.tokens().authorization_servers() {
        writeln!(out, "ok       tokens: of {server}")?;
    }
    Ok(())
}

async fn reach_issuers(authenticator: &Authenticator, out: &mut impl Write) -> anyhow::Result<()> {
    for (issuer, keys) in authenticator.tokens().reach().await {
        let keys = keys.with_context(|| {
            format!("auth.jwt: could not fetch the keys of {issuer}; check jwks and the way out")
        })?;
        writeln!(out, "ok       tokens: {keys} keys of {issuer}")?;
    }
    Ok(())
}

/// Looks for the CRM users that clients work for.
async fn try_owners(app: &App, out: &mut impl Write) -> anyhow::Result<()> {
    for (name, client) in app.config.clients.iter().filter(|(_, c)| c.owner.is_some()) {
        let Ok(scope) = client.scope(None) else {
            continue;
        };
        let deadline = Instant::now() + app.config.zoho.request_timeout.duration();
        let view = app.handler.0.zoho.view(&scope, deadline);
        view.try_scope()
            .await
            .with_context(|| format!("clients.{name}.owner: this CRM user cannot be worked for"))?;
        writeln!(
            out,
            "ok       clients.{name}: its CRM user is known to zoho"
        )?;
    }
    Ok(())
}
