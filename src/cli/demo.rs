//! `zoho-mcp demo`: everything in one process, with data and keys that were made a moment ago.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;

use crate::{
    app::{App, Secrets, pseudonym_key, signing_key},
    audit::Audit,
    auth::api_key::{ApiKey, KeyDocument},
    cli::{
        BadConfiguration, Listen, banner, daemon,
        ops::Ops,
        ready::{self, Ready},
    },
    config::{self, Config, Environment, Loaded},
    listen::Tls,
    sandbox::{Options, Sandbox},
    store::Passwords,
    telemetry,
    zoho::Credentials,
};

pub(super) async fn run(listen: Listen, environment: Environment) -> anyhow::Result<()> {
    let loaded = Loaded::from_text("demo.toml", config::DEMO, PathBuf::new(), &environment)?;
    let pseudonym_key =
        pseudonym_key(&loaded, &environment).map_err(|bad| BadConfiguration(bad.into()))?;
    let signing_key =
        signing_key(&loaded, &environment).map_err(|bad| BadConfiguration(bad.into()))?;
    let mut config = loaded.config;
    config.server.listen = listen.listen.unwrap_or(config.server.listen);
    telemetry::init(&config.log);
    let sandbox = Sandbox::start(Options::default()).await?;
    config.zoho.accounts_url = Some(sandbox.url().to_owned());
    config.zoho.api_url = Some(sandbox.url().to_owned());
    let (keys, document) = fresh_keys(&config)?;
    let redis = match environment.get("REDIS_URL") {
        Some(url) => config.redis.use_url(url).context("REDIS_URL")?,
        None => Passwords::default(),
    };
    let secrets = Secrets {
        keys: Some(document.into()),
        key_source: None,
        issuers: Vec::new(),
        zoho: credentials(&sandbox),
        people: None,
        token_key: None,
        pseudonym_key,
        redis,
        base: PathBuf::new(),
        signing_key: signing_key.clone(),
        tls: Tls::off(),
        trace_headers: telemetry::Headers::new(),
    };
    let listener = daemon::bind(config.server.listen)?;
    let ops = Ops::bind(&config.server)?;
    let pseudonym_key = secrets.pseudonym_key.as_ref();
    let audit = Audit::start(&config.audit, Path::new(""), signing_key, pseudonym_key)?;
    let log = audit.clone();
    let started = App::new(config, secrets, audit);
    let ended = match started {
        Ok(app) => serve(app, (listener, ops), &keys, &sandbox, listen.ready_file).await,
        Err(error) => Err(error),
    };
    daemon::ending(&log, ended).await?;
    sandbox.stop().await;
    Ok(())
}

async fn serve(
    app: App,
    (listener, ops): (TcpListener, Option<Ops>),
    keys: &BTreeMap<Arc<str>, SecretString>,
    sandbox: &Sandbox,
    ready_file: Option<PathBuf>,
) -> anyhow::Result<()> {
    let url = ready::url("http", listener.local_addr()?);
    let clients: BTreeMap<&str, &str> = keys
        .iter()
        .map(|(client, key)| (&**client, key.expose_secret()))
        .collect();
    let ready = Ready {
        url: url.clone(),
        ops: ops.as_ref().map(|ops| ops.url.clone()),
        sandbox: Some(sandbox.url()),
        clients: clients.clone(),
        zoho: Some(sandbox.credentials()),
    };
    daemon::run(app, listener, ops, None, || {
        ready.write(ready_file.as_deref())?;
        banner::print(&url, sandbox.url(), &clients);
        Ok(())
    })
    .await
}

type FreshKeys = (BTreeMap<Arc<str>, SecretString>, KeyDocument);

/// One key a client.
fn fresh_keys(config: &Config) -> anyhow::Result<FreshKeys> {
    let (mut keys, mut document) = (BTreeMap::new(), None::<KeyDocument>);
    for client in config.clients.keys() {
        let (key, record) = ApiKey::generate("demo", client.clone(), Timestamp::now(), None)?;
        keys.insert(client.clone(), key);
        match &mut document {
            Some(document) => document.push(record),
            None => document = Some(KeyDocument::of(record)),
        }
    }
    Ok((keys, document.context("the demo has no client")?))
}

fn credentials(sandbox: &Sandbox) -> Credentials {
    let given = sandbox.credentials();
    Credentials {
        client_id: given.client_id.clone(),
        client_secret: given.client_secret.clone().into(),
        refresh_token: given.refresh_tokens.admin.clone().into(),
    }
}
