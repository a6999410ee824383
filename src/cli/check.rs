//! `zoho-mcp check`: says what is wrong with a configuration before it is used.

use std::path::PathBuf;

use anyhow::Context as _;
use tokio::time::Instant;

use crate::{
    app::{App, Secrets},
    audit::Audit,
    cli::BadConfiguration,
    config::{Environment, Loaded},
};

#[derive(clap::Args)]
pub(super) struct Check {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also reach Zoho and sign in there
    #[arg(long)]
    online: bool,
}

pub(super) async fn run(check: Check, environment: Environment) -> anyhow::Result<()> {
    let loaded = Loaded::from_file(&check.config, &environment)?;
    println!(
        "ok       {}: read, every key understood",
        check.config.display()
    );
    for warning in &loaded.warnings {
        println!("warning  {warning}");
    }
    let secrets = Secrets::read(&loaded, &environment).map_err(BadConfiguration)?;
    println!("ok       secrets: found");
    let audit = Audit::start(&loaded.config.audit, Box::new(std::io::sink()));
    let app = App::new(loaded.config.clone(), secrets, audit).map_err(BadConfiguration)?;
    let usable = app.auth.authenticator.keys().usable(jiff::Timestamp::now());
    println!(
        "{}  API keys: {usable} usable",
        if usable > 0 { "ok     " } else { "warning" }
    );
    if check.online {
        app.handler.0.zoho.sign_in().await.context(
            "zoho: could not sign in; check data_center, the credentials and the way out",
        )?;
        println!("ok       zoho: signed in");
        try_owners(&app).await?;
    } else {
        println!("skipped  zoho: add --online to sign in there");
    }
    Ok(())
}

/// Looks for the CRM users that clients work for.
async fn try_owners(app: &App) -> anyhow::Result<()> {
    for (name, client) in app.config.clients.iter().filter(|(_, c)| c.owner.is_some()) {
        let Ok(scope) = client.scope(None) else {
            continue;
        };
        let deadline = Instant::now() + app.config.zoho.request_timeout.duration();
        let view = app.handler.0.zoho.view(&scope, deadline);
        view.try_scope()
            .await
            .with_context(|| format!("clients.{name}.owner: this CRM user cannot be worked for"))?;
        println!("ok       clients.{name}: its CRM user is known to zoho");
    }
    Ok(())
}
