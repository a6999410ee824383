//! The ready file: what a script needs to use what was just started.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use serde::Serialize;

use crate::sandbox;

/// What applies is written, the rest left out.
#[derive(Default, Serialize)]
pub(super) struct Ready<'a> {
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ops: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sandbox: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) clients: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) zoho: Option<&'a sandbox::Credentials>,
}

impl Ready<'_> {
    /// Writes the file whole or not at all, for its owner only, since it may hold keys.
    pub(super) fn write(&self, path: Option<&Path>) -> anyhow::Result<()> {
        let Some(path) = path else { return Ok(()) };
        let unfinished = path.with_extension("unfinished");
        let write = || {
            let mut options = fs::OpenOptions::new();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            file.write_all(b"\n")?;
            fs::rename(&unfinished, path)
        };
        write().with_context(|| format!("could not write the ready file {}", path.display()))
    }
}

/// The address of a listener as somebody on this machine can use it: nobody can call `0.0.0.0`, and
/// the host check would refuse it.
pub(super) fn url(scheme: &str, listener: SocketAddr) -> String {
    let mut address = listener;
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(Ipv4Addr::LOCALHOST.into())
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(Ipv6Addr::LOCALHOST.into())
        }
        _ => {}
    }
    format!("{scheme}://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_told_by_one_that_can_be_called() {
        for (bound, told) in [
            ("0.0.0.0:3000", "http://127.0.0.1:3000"),
            ("[::]:3000", "http://[::1]:3000"),
            ("192.0.2.7:80", "http://192.0.2.7:80"),
        ] {
            assert_eq!(url("http", bound.parse().unwrap()), told);
        }
    }
}
