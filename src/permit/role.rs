//! Roles and clients, as the configuration spells them.

use crate::setting::Quota;
use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

/// `[roles.NAME]`
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    pub tools: Vec<String>,
    pub max_records_per_query: NonZeroU32,
    #[serde(default)]
    pub allow_write: bool,
}

/// `[clients.NAME]`
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    pub role: Arc<str>,
    #[serde(default)]
    pub visibility: Visibility,
    /// Instead of `[limits] client`.
    pub limits: Option<Quota>,
}

/// Which rows a client may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    #[default]
    Org,
}

/// Roles and clients together, validated: every client's role exists, every tool named exists.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub roles: BTreeMap<Arc<str>, Role>,
    pub clients: BTreeMap<Arc<str>, Client>,
}
