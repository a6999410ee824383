//! Limits that are smaller than the number of instances. While Redis cannot be asked each instance
//! admits one call at least, so that together they admit more than such a limit.

use std::num::NonZeroU32;

use super::rules::Config;
use crate::setting::{Limit, LimitMode, OnStoreError};

/// A limit that has no share for each instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{key}: {limit} is less than redis.expected_replicas, {replicas}, and each instance admits one \
     at least while Redis cannot be asked, so together they admit up to {replicas}; raise it to \
     {replicas}{}", if *.is_window { ", or set on_store_error = \"closed\" for it" } else { "" }
)]
pub struct Indivisible {
    key: String,
    limit: NonZeroU32,
    replicas: NonZeroU32,
    is_window: bool,
}

/// Those of a section. `clients` are the limits of those that have one of their own.
pub fn indivisible(
    config: &Config,
    clients: &[(&str, Limit)],
    replicas: NonZeroU32,
) -> impl Iterator<Item = Indivisible> {
    let fixed = [
        ("limits.global", Some(config.global)),
        ("limits.client", Some(config.client)),
        ("limits.user", config.user),
    ];
    let fixed = fixed
        .into_iter()
        .filter_map(|(key, limit)| Some((key.to_owned(), limit?)));
    let tools = config.tools.iter();
    let tools = tools.map(|(tool, limit)| (format!("limits.tools.{tool}"), *limit));
    let own = clients.iter();
    let own = own.map(|(name, limit)| (format!("clients.{name}.limits"), *limit));
    let is_shared_out = |limit: &Limit| {
        limit.mode == LimitMode::Enforce
            && limit.on_store_error.unwrap_or(config.on_store_error) == OnStoreError::Local
    };
    let windows = fixed.chain(tools).chain(own);
    let windows = windows
        .filter(|(_, limit)| is_shared_out(limit))
        .map(|(key, limit)| (key, limit.requests, true));
    let at_once = [
        ("limits.in_flight", config.in_flight),
        ("limits.in_flight_total", config.in_flight_total),
    ];
    let at_once = at_once
        .into_iter()
        .filter(|(_, it)| it.mode == LimitMode::Enforce)
        .map(|(key, it)| (key.to_owned(), it.calls, false));
    let all: Vec<_> = windows.chain(at_once).collect();
    all.into_iter()
        .filter(move |(_, limit, _)| *limit < replicas)
        .map(move |(key, limit, is_window)| Indivisible {
            key,
            limit,
            replicas,
            is_window,
        })
}
