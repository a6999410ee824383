//! `zoho-mcp keys list`: all keys, and when they were last used.

use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;

use crate::auth::api_key::{KeyDocument, KeyRecord, Status, Usage};

/// One key as `--json` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    client: &'a str,
    status: &'static str,
    created: String,
    not_before: String,
    not_after: Option<String>,
    last_used: Option<String>,
}

impl<'a> Row<'a> {
    fn new(key: &'a KeyRecord, usage: Option<&Usage>, now: Timestamp) -> Self {
        let text = |at: Timestamp| format!("{at:.0}");
        Self {
            id: &key.id,
            client: &key.client,
            status: standing(key, now),
            created: text(key.created),
            not_before: text(key.not_before),
            not_after: key.not_after.map(text),
            // Known to the minute only: a key that is used at once was used after it was made.
            last_used: usage
                .and_then(|usage| usage.of(&key.id))
                .map(|used| text(used.max(key.created))),
        }
    }
}

/// Writes the list; without `usage` nothing is known of when keys were used.
pub(super) fn write(
    document: &KeyDocument,
    usage: Option<&Usage>,
    now: Timestamp,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let keys = document.keys().iter();
    let rows: Vec<Row<'_>> = keys.map(|key| Row::new(key, usage, now)).collect();
    if json {
        let list = serde_json::json!({ "keys": rows, "usageKnown": usage.is_some() });
        writeln!(out, "{list}")?;
        return Ok(());
    }
    let unused = if usage.is_some() { "never" } else { "unknown" };
    let width = rows.iter().map(|row| row.client.chars().count()).max();
    let width = width.unwrap_or(0).max(6);
    writeln!(
        out,
        "{:<10}  {:<width$}  {:<7}  {:<20}  {:<20}  {:<20}  LAST USED",
        "ID", "CLIENT", "STATUS", "CREATED", "VALID FROM", "EXPIRES"
    )?;
    for row in rows {
        writeln!(
            out,
            "{:<10}  {:<width$}  {:<7}  {:<20}  {:<20}  {:<20}  {}",
            row.id,
            row.client,
            row.status,
            row.created,
            row.not_before,
            row.not_after.as_deref().unwrap_or("never"),
            row.last_used.as_deref().unwrap_or(unused),
        )?;
    }
    Ok(())
}

/// What the status means at this moment.
pub(super) fn standing(key: &KeyRecord, now: Timestamp) -> &'static str {
    match key.status {
        Status::Active if !key.is_live(now) => "expired",
        Status::Active if now < key.not_before => "not yet",
        status => status.name(),
    }
}
