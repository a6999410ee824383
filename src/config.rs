//! The configuration: the embedded defaults, then the file, then the environment, read as one
//! document and refused with file, key and remedy.

mod hints;
mod mistakes;
mod overlay;
mod proving;
mod refused;
mod sharing;

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use crate::{
    audit, auth, limit, listen, mcp,
    permit::{Client, Policy, Role, Visibility},
    setting::SecretRef,
    store, telemetry, tools, zoho,
};
pub use overlay::variable_of;
use refused::Origin;
pub use refused::{Problem, Refused};

/// Everything that can be configured: the features' own sections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/default.toml describes every section")]
pub struct Config {
    pub server: listen::Config,
    pub mcp: mcp::Config,
    pub auth: auth::Config,
    pub redis: store::Config,
    pub limits: limit::Config,
    pub zoho: zoho::Config,
    pub cache: tools::cache::Config,
    pub audit: audit::Config,
    pub log: telemetry::Config,
    pub metrics: telemetry::MetricsConfig,
    pub traces: telemetry::TracesConfig,
    #[serde(default)]
    pub roles: BTreeMap<Arc<str>, Role>,
    #[serde(default)]
    pub clients: BTreeMap<Arc<str>, Client>,
}

/// A configuration and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The same as one document, which tells what has changed.
    pub settings: toml::Table,
    /// The folder that relative paths start from.
    pub base: PathBuf,
    /// What is legal and yet probably not meant.
    pub warnings: Vec<String>,
    origin: Origin,
}

/// The process's environment, or a test's.
pub type Environment = BTreeMap<String, String>;

/// Every key with its default and its why; the first layer of every configuration.
pub const DEFAULTS: &str = include_str!("../config/default.toml");
/// The second layer of `zoho-mcp demo`.
pub const DEMO: &str = include_str!("../config/demo.toml");

/// A document alone with the environment over it, unchecked and without defaults; `name` stands in
/// the errors.
///
/// # Errors
/// What is no TOML, and variables that do not fit it.
pub fn overlaid(name: &str, text: &str, environment: &Environment) -> Result<toml::Table, Refused> {
    let mut table = overlay::parse(name, text)?;
    overlay::environment(&mut table, environment, &mut Origin::file(name))?;
    Ok(table)
}

impl Loaded {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it could be read.
    pub fn from_file(path: &Path, environment: &Environment) -> Result<Self, Refused> {
        let name = path.display().to_string();
        let text = read_bounded(path).map_err(|error| {
            Refused::one(&name, error, "name a readable TOML file with --config")
        })?;
        let base = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Self::from_text(&name, &text, base, environment)
    }

    /// Reads and checks a document; `name` stands in the errors.
    ///
    /// # Errors
    /// As [`Loaded::from_file`].
    pub fn from_text(
        name: &str,
        text: &str,
        base: PathBuf,
        environment: &Environment,
    ) -> Result<Self, Refused> {
        let defaults = overlay::parse("default.toml", DEFAULTS)?;
        let mut table = defaults.clone();
        overlay::merge(&mut table, overlay::parse(name, text)?);
        let mut origin = Origin::file(name);
        overlay::environment(&mut table, environment, &mut origin)?;
        let settings = table.clone();
        let config = mistakes::read(&origin, table, &defaults)?;
        let warnings = config.warnings();
        Ok(Self {
            config,
            settings,
            base,
            warnings,
            origin,
        })
    }

    /// The refusal of this configuration for what it refers to.
    pub fn refused(&self, problems: Vec<Problem>) -> Refused {
        Refused::new(self.origin.clone(), problems)
    }
}

impl Config {
    /// The limits, as `limit` takes them.
    ///
    /// # Errors
    /// The limits of clients that cannot be kept.
    pub fn rules(&self) -> Result<limit::Rules, Vec<limit::BadLimit>> {
        let own = |(name, client): (&Arc<str>, &Client)| Some((name.clone(), client.limits?));
        limit::Rules::new(&self.limits, self.clients.iter().filter_map(own))
    }

    /// Which role each client has, and how it has to prove itself.
    pub fn directory(&self) -> auth::Directory {
        let entry = |client: Client| auth::Entry {
            role: client.role,
            credentials: client.credentials,
        };
        let clients = self.policy().clients.into_iter();
        clients
            .map(|(name, client)| (name, entry(client)))
            .collect()
    }

    /// Which client each certificate's name belongs to.
    ///
    /// # Errors
    /// The second client with the same name.
    pub fn certificates(&self) -> Result<auth::mtls::CertificateNames, Arc<str>> {
        let clients = self.clients.iter();
        auth::mtls::CertificateNames::of(
            clients.map(|(client, settings)| (client, settings.certificate.as_deref())),
        )
    }

    /// Roles and clients, as `permit` takes them: those of `[clients]`, and those that a `role`
    /// under `[[auth.jwt]]` brings into being.
    pub fn policy(&self) -> Policy {
        let mut clients = self.clients.clone();
        for (name, role) in self
            .auth
            .jwt
            .iter()
            .filter_map(auth::Issuer::implied_client)
        {
            clients.entry(name).or_insert_with(|| Client::of_role(role));
        }
        Policy {
            roles: self.roles.clone(),
            clients,
        }
    }

    /// Every secret that is referred to.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        [&self.auth.api_keys.source]
            .into_iter()
            .chain(self.auth.jwt.iter().filter_map(auth::Issuer::secret))
            .chain(&self.zoho.credentials)
            .chain(&self.zoho.user_credentials)
            .chain(&self.zoho.token_key)
            .chain(&self.audit.pseudonym_key)
            .chain(&self.audit.signing_key)
            .chain(&self.redis.password)
            .chain(&self.redis.sentinel_password)
            .chain(&self.traces.headers)
    }

    fn problems(&self) -> Vec<Problem> {
        let permissions = tools::permissions();
        let names = permissions.iter().map(|permission| permission.tool);
        let names: Vec<&str> = names.collect();
        let tools = names.join(", ");
        let mut problems = proving::problems(self);
        if let Err(bad) = self.mcp.check() {
            problems.push(Problem::new(bad, bad.remedy()));
        }
        if let Err(bad) = self.cache.check(&permissions) {
            problems.push(Problem::new(&bad, bad.remedy()));
        }
        if self.policy().clients.is_empty() {
            problems.push(Problem::new(
                "clients: no client is configured",
                "add [clients.NAME] with role = \"...\"",
            ));
        }
        let policy = self.policy().check(&permissions).err().unwrap_or_default();
        for bad in &policy {
            problems.push(Problem::new(bad, bad.remedy(&tools)));
        }
        let personal = |client: &Client| client.visibility == Visibility::UserToken;
        if self.zoho.user_credentials.is_none() && self.clients.values().any(personal) {
            problems.push(Problem::new(
                "zoho.user_credentials: it is not set, and a client has visibility = \"user_token\"",
                "set user_credentials = \"file:users.json\" under [zoho]",
            ));
        }
        problems.extend(sharing::problem(self));
        problems.extend(self.nobodys_shares());
        let limits = self.limits.check(&names).err().unwrap_or_default();
        let rules = self.rules().err().unwrap_or_default();
        let bad = limits.iter().chain(&rules);
        problems.extend(bad.map(|bad| Problem::new(bad, bad.remedy(&tools))));
        if let Err(bad) = self.server.check() {
            problems.push(Problem::new(format!("{}: {bad}", bad.key()), bad.remedy()));
        }
        if let Err(bad) = self.redis.check() {
            problems.push(Problem::new(format!("redis.{bad}"), bad.remedy()));
        }
        if let Err(bad) = self.audit.check() {
            problems.push(Problem::new(bad, bad.remedy()));
        }
        if let Err(bad) = self.server.tls.check() {
            problems.push(Problem::new(&bad, bad.remedy()));
        }
        if let Err(client) = self.certificates() {
            problems.push(Problem::new(
                format!("clients.{client}.certificate: another client has the same"),
                "give each client a certificate with a name of its own",
            ));
        }
        if let Err(bad) = self.zoho.check() {
            problems.push(Problem::new(
                format!("zoho.{bad}"),
                "write it as https://HOST, or http://127.0.0.1:PORT for a sandbox, or leave it out and set data_center",
            ));
        }
        problems
    }

    fn nobodys_shares(&self) -> Vec<Problem> {
        let clients = self.policy().clients;
        let names = self.zoho.client_shares.keys();
        let nobodys = names.filter(|name| !clients.contains_key(*name));
        nobodys
            .map(|name| {
                let text = format!("zoho.client_shares.{name}: there is no such client");
                Problem::new(text, "name one of [clients]")
            })
            .collect()
    }

    fn warnings(&self) -> Vec<String> {
        let warnings = self
            .policy()
            .check(&tools::permissions())
            .unwrap_or_default();
        let mut warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        warnings.extend(proving::warnings(self));
        warnings.extend(hints::hints(self));
        warnings.extend(sharing::warnings(self));
        warnings
    }
}

const MAX_FILE: u64 = 1 << 20;

fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // What a device says of its size means nothing.
    let file = std::fs::File::open(path)?;
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("the file is larger than 1 MiB"));
    }
    read.map(|_| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Loaded::from_text("test.toml", text, PathBuf::new(), &environment)
            .map_err(|refused| refused.to_string())
    }

    const LEAST: &str = r#"
        [roles.r]
        tools = ["search_contacts"]
        max_records_per_query = 10
        [clients.c]
        role = "r"
    "#;

    #[test]
    fn the_defaults_the_demo_and_the_example_are_valid() {
        load(LEAST, &[]).unwrap();
        load(DEMO, &[]).unwrap();
        load(include_str!("../config/production.example.toml"), &[]).unwrap();
    }

    #[test]
    fn a_shared_redis_wants_a_key_of_our_own_for_the_names_in_it() {
        let redis = "[redis]\nurl = \"redis://cache\"";
        let warnings = |more: &str| {
            let loaded = load(&format!("{LEAST}\n{more}"), &[]).unwrap();
            loaded.warnings.join("\n")
        };
        assert!(warnings(redis).contains("audit.pseudonym_key"));
        let keyed = format!("{redis}\n[audit]\npseudonym_key = \"env:KEY\"");
        assert_eq!(warnings(""), "");
        assert!(!warnings(&keyed).contains("audit.pseudonym_key"));
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let text =
            format!("[server]\nlisten = \"127.0.0.1:1\"\n[mcp]\nlegacy_sse = false\n{LEAST}");
        let loaded = load(
            &text,
            &[("ZOHO_MCP__SERVER__LISTEN", "127.0.0.1:2"), ("HOME", "x")],
        )
        .unwrap();
        assert_eq!(loaded.config.server.listen.to_string(), "127.0.0.1:2");
        assert!(!loaded.config.mcp.legacy_sse);
        load(LEAST, &[("ZOHO_MCP__TRACES__SAMPLE", "0.25")]).unwrap();
        let refused = load(LEAST, &[("ZOHO_MCP__TRACES__SAMPLE", "2.5")]).unwrap_err();
        assert!(refused.contains("traces.sample"), "{refused}");
        assert_eq!(loaded.config.mcp.max_body.bytes(), 256 << 10);
    }

    #[test]
    fn a_refusal_names_file_key_and_remedy() {
        for (text, says) in [
            (
                "[server]\nlitsen = \"x\"",
                "test.toml: server.litsen: unknown field `litsen`",
            ),
            (
                "[mcp]\ntool_timeout = \"soon\"",
                "test.toml: mcp.tool_timeout: expected a span",
            ),
            ("[clients.x]\nrole = \"none\"", "test.toml: clients.x.role"),
            (
                "[roles.x]\ntools = [\"drop_table\"]\nmax_records_per_query = 1",
                "test.toml: roles.x.tools",
            ),
            (
                "[roles.x]\ntools = []\nmax_records_per_query = 0",
                "test.toml: roles.x.max_records_per_query",
            ),
            (
                "[limits.tools]\nnope = { requests = 1, per = \"1m\" }",
                "test.toml: limits.tools.nope",
            ),
            (
                "[clients.x]\nrole = \"r\"\nvisibility = \"owner\"",
                "test.toml: clients.x.visibility",
            ),
            (
                "[clients.x]\nrole = \"r\"\nvisibility = \"user_token\"",
                "test.toml: zoho.user_credentials",
            ),
            ("[server]\nlisten = 3000", "test.toml: server.listen"),
            ("x = [", "test.toml"),
        ] {
            let refused = load(&format!("{text}\n{LEAST}"), &[]).unwrap_err();
            assert!(
                refused.contains(says) && refused.contains("remedy: "),
                "{refused}\n{says}"
            );
        }
        let refused = load(LEAST, &[("ZOHO_MCP__SERVER__LITSEN", "x")]).unwrap_err();
        assert!(refused.contains("server.litsen"), "{refused}");
    }
}
