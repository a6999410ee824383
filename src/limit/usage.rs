//! How much of each limit is used at the moment, as Redis knows it.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use super::{
    claim::Key,
    dimension::Whose,
    names::{ALL_PLACES, Names},
    rules::Rules,
};
use crate::{
    auth::User,
    setting::{Limit, LimitMode},
    store::{Script, Store, Unavailable},
};

/// One window, or the calls in flight.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// As callers are told.
    pub dimension: &'static str,
    /// Whose it is, where it is not everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Arc<str>>,
    /// A person's: the issuer of their tokens and their name there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[expect(missing_docs, reason = "see issuer")]
    pub subject: Option<Arc<str>>,
    /// Where it is for one tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Arc<str>>,
    /// Calls that count now.
    pub used: u64,
    /// Calls that may follow now.
    pub remaining: u64,
    /// Calls that may.
    pub limit: u32,
    /// The window, such as `1m`; none for calls in flight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    /// Whole seconds until the oldest leaves the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_seconds: Option<u64>,
    /// It only watches.
    pub shadow: bool,
}

/// Looks at the windows of everybody, of each client, of each client with each limited tool, and of
/// each user named here: Redis does not know whose the others are.
///
/// # Errors
/// Redis cannot be asked, or its windows have other names.
pub async fn usage(
    store: &Store,
    names: &Names,
    rules: &Rules,
    clients: &[Arc<str>],
    users: &[User],
) -> Result<Vec<Usage>, Unavailable> {
    names.are_shared(store).await?;
    let mut rows = rows(names, rules, clients);
    rows.extend(users.iter().map(|user| {
        let mut row = Row::window(names, ("user", Whose::Users(user.clone())), rules.user);
        row.usage.issuer = Some(user.issuer.clone());
        row.usage.subject = Some(user.subject.clone());
        row
    }));
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let spans: Vec<Vec<u8>> = rows
        .iter()
        .map(|row| row.span.as_micros().to_string().into_bytes())
        .collect();
    let script = Script::new(include_str!("script/look.lua"));
    let found: Vec<i64> = store.run_script(&script, &keys, &spans).await?;
    let found = found.chunks_exact(2).map(|pair| match pair {
        [used, reset] => (*used, *reset),
        _ => (0, 0),
    });
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(rows
        .into_iter()
        .zip(found)
        .map(|(row, (used, reset))| Usage {
            used: whole(used),
            remaining: u64::from(row.usage.limit).saturating_sub(whole(used)),
            reset_seconds: row
                .usage
                .per
                .as_ref()
                .map(|_| whole(reset).div_ceil(1_000_000)),
            ..row.usage
        })
        .collect())
}

struct Row {
    key: String,
    span: Duration,
    usage: Usage,
}

fn rows(names: &Names, rules: &Rules, clients: &[Arc<str>]) -> Vec<Row> {
    let room = rules.in_flight;
    let mut rows = vec![
        Row::window(names, ("global", Whose::Everybodys), rules.global),
        Row::places(
            ALL_PLACES.into(),
            "in_flight_total",
            room.total,
            room.watches_total,
        ),
    ];
    let mut tools: Vec<_> = rules.tools.iter().collect();
    tools.sort_unstable_by_key(|(tool, _)| *tool);
    for client in clients {
        let own = rules.clients.get(client).copied().unwrap_or(rules.client);
        let whose = Whose::Clients(Arc::clone(client));
        let mut of_client = vec![Row::window(names, ("client", whose), own)];
        for (tool, limit) in &tools {
            let whose = Whose::ClientsTool(Arc::clone(client), (&***tool).into());
            let mut row = Row::window(names, ("client:tool", whose), **limit);
            row.usage.tool = Some(Arc::clone(tool));
            of_client.push(row);
        }
        of_client.push(Row::places(
            names.places(client),
            "in_flight",
            room.client,
            room.watches_client,
        ));
        for row in &mut of_client {
            row.usage.client = Some(Arc::clone(client));
        }
        rows.append(&mut of_client);
    }
    rows
}

impl Row {
    fn window(names: &Names, key: Key, limit: Limit) -> Self {
        Self {
            key: names.window(&key),
            span: limit.per.duration(),
            usage: Usage {
                per: Some(limit.per.to_string()),
                shadow: limit.mode == LimitMode::Shadow,
                ..Usage::unused(key.0, limit.requests.get())
            },
        }
    }

    fn places(key: String, dimension: &'static str, limit: u32, shadow: bool) -> Self {
        Self {
            key,
            span: Duration::ZERO,
            usage: Usage {
                shadow,
                ..Usage::unused(dimension, limit)
            },
        }
    }
}

impl Usage {
    fn unused(dimension: &'static str, limit: u32) -> Self {
        Self {
            dimension,
            client: None,
            issuer: None,
            subject: None,
            tool: None,
            used: 0,
            remaining: limit.into(),
            limit,
            per: None,
            reset_seconds: None,
            shadow: false,
        }
    }
}
