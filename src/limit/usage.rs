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
    /// Where it is for one tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Arc<str>>,
    /// Calls that count now.
    pub used: u64,
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

/// Looks at the windows of everybody, of each client, and of each client with each limited tool.
/// Those of single users cannot be found: Redis does not know whose they are.
///
/// # Errors
/// Redis cannot be asked.
pub async fn usage(
    store: &Store,
    names: &Names,
    rules: &Rules,
    clients: &[Arc<str>],
) -> Result<Vec<Usage>, Unavailable> {
    let rows = rows(names, rules, clients);
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let spans: Vec<Vec<u8>> = rows
        .iter()
        .map(|row| row.span.as_micros().to_string().into_bytes())
        .collect();
    let script = Script::new(include_str!("script/look.lua"));
    let (script, keys, spans) = (&script, &*keys, &*spans);
    let look = |mut link| async move { script.run::<Vec<i64>>(&mut link, keys, spans).await };
    let found = store.run(look).await?;
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
    let window = |key: Key, limit: Limit, client: Option<&Arc<str>>, tool: Option<&Arc<str>>| Row {
        key: names.window(&key),
        span: limit.per.duration(),
        usage: Usage {
            dimension: key.0,
            client: client.cloned(),
            tool: tool.cloned(),
            used: 0,
            limit: limit.requests.get(),
            per: Some(limit.per.to_string()),
            reset_seconds: None,
            shadow: limit.mode == LimitMode::Shadow,
        },
    };
    let places = |key: String, dimension, limit, client: Option<&Arc<str>>| Row {
        key,
        span: Duration::ZERO,
        usage: Usage {
            dimension,
            client: client.cloned(),
            tool: None,
            used: 0,
            limit,
            per: None,
            reset_seconds: None,
            shadow: false,
        },
    };
    let mut rows = vec![
        window(("global", Whose::Everybodys), rules.global, None, None),
        places(
            ALL_PLACES.into(),
            "in_flight_total",
            rules.in_flight.total,
            None,
        ),
    ];
    for client in clients {
        let own = rules.clients.get(client).copied().unwrap_or(rules.client);
        let key = ("client", Whose::Clients(Arc::clone(client)));
        rows.push(window(key, own, Some(client), None));
        let mut tools: Vec<_> = rules.tools.iter().collect();
        tools.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (tool, limit) in tools {
            let whose = Whose::ClientsTool(Arc::clone(client), (&**tool).into());
            rows.push(window(
                ("client:tool", whose),
                *limit,
                Some(client),
                Some(tool),
            ));
        }
        let key = names.places(client);
        rows.push(places(
            key,
            "in_flight",
            rules.in_flight.client,
            Some(client),
        ));
    }
    rows
}
