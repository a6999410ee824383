//! What a house starts with: the configuration file, the environment, files beside them.

use std::collections::BTreeMap;

use serde_json::Value;

/// The configuration file, after what a test puts before it.
pub(super) const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[roles.customer-service]
tools = ["search_contacts", "get_contact_history", "create_note"]
max_records_per_query = 10
allow_write = true
[roles.reporting]
tools = ["search_contacts", "get_deal_summary", "get_revenue_report"]
max_records_per_query = 100
[roles.dashboard]
tools = ["get_dashboard_metrics"]
max_records_per_query = 50
[clients.customer-service-agent]
role = "customer-service"
[clients.reporting-agent]
role = "reporting"
[clients.readonly-dashboard]
role = "dashboard"
"#;

/// What a house starts with; a test changes what it is about.
#[derive(Default)]
pub(crate) struct Setup {
    pub(super) environment: BTreeMap<String, String>,
    pub(super) config: String,
    pub(super) credentials: Option<TakeCredentials>,
    pub(super) shell: Option<String>,
    pub(super) files: Vec<(String, String)>,
    pub(super) zoho_user: Option<String>,
}

type TakeCredentials = Box<dyn FnOnce(&Value)>;

impl Setup {
    /// Starts the daemon out of a shell script, where `"$@"` is the daemon's command.
    pub(crate) fn through(&mut self, script: &str) -> &mut Self {
        self.shell = Some(script.to_owned());
        self
    }

    /// The CRM user whose credentials the daemon has: `admin`, `manager` or `rep-1`.
    pub(crate) fn zoho_user(&mut self, user: &str) -> &mut Self {
        self.zoho_user = Some(user.to_owned());
        self
    }

    /// Gives the daemon an environment variable.
    pub(crate) fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Leaves a key to the configuration file.
    pub(crate) fn unset(&mut self, key: &str) -> &mut Self {
        self.environment.remove(&variable(key));
        self
    }

    /// Sets a key of the configuration, such as `limits.client`, to a TOML value or a text.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.environment.insert(variable(key), value.to_owned());
        self
    }

    /// Adds to the environment of the daemon.
    pub(crate) fn environment(&mut self, variables: BTreeMap<String, String>) -> &mut Self {
        self.environment.extend(variables);
        self
    }

    /// Hands what proves the daemon to Zoho to somebody, before the daemon starts.
    pub(crate) fn credentials(&mut self, take: impl FnOnce(&Value) + 'static) -> &mut Self {
        self.credentials = Some(Box::new(take));
        self
    }

    /// Puts a file beside the configuration.
    pub(crate) fn file(&mut self, name: &str, text: &str) -> &mut Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds to the configuration file.
    pub(crate) fn config(&mut self, toml: &str) -> &mut Self {
        self.config.push_str(toml);
        self
    }
}

fn variable(key: &str) -> String {
    let name = key.to_uppercase().replace('-', "_").replace('.', "__");
    format!("ZOHO_MCP__{name}")
}
