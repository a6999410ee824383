//! A Zoho CRM to try out and to test against: an HTTP server that behaves like version 8 of the
//! real one, with data of an invented company, in memory, and faults on demand.

mod about;
mod answer;
mod cell;
mod clock;
mod control;
mod coql;
mod criteria;
mod crm;
mod cursor;
mod describe;
mod desk;
mod dice;
mod fault;
mod filter;
mod journal;
mod ledger;
mod oauth;
mod org;
mod picklist;
mod problem;
mod query;
mod read;
mod related;
mod render;
mod reply;
mod route;
mod schema;
mod scope;
mod seed;
mod serve;
pub mod settings;
mod sight;
mod spoil;
mod timeline;
mod token;
mod view;
mod words;
mod write;

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::{
    clock::Clock, crm::Crm, cursor::Cursors, desk::Desk, seed::staff, settings::Settings,
    token::Tokens,
};

/// How a sandbox starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// What its clock reads at the start, and so the day that the data is told from; the real time
    /// if none is given.
    pub now: Option<Timestamp>,
    /// What differs between organisations and between sources.
    pub settings: Settings,
}

impl Default for Options {
    /// On any free port.
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen,
            now: None,
            settings: Settings::default(),
        }
    }
}

/// What a client needs to use the sandbox; the `zoho` object of a ready file.
#[derive(Clone, Serialize)]
pub struct Credentials {
    /// The base URL of the accounts server.
    pub accounts: String,
    /// The base URL of the API.
    pub api: String,
    /// The OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// One refresh token for each kind of CRM user.
    pub refresh_tokens: RefreshTokens,
}

/// The refresh tokens.
#[derive(Clone, Serialize)]
pub struct RefreshTokens {
    /// Sees everything.
    pub admin: String,
    /// Sees the records of a team.
    pub manager: String,
    /// Sees the own records.
    #[serde(rename = "rep-1")]
    pub rep_1: String,
}

/// A running sandbox. It stops when it is dropped.
pub struct Sandbox {
    credentials: Credentials,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Sandbox {
    /// Binds, sows the data and answers.
    ///
    /// # Errors
    /// The address cannot be bound, or the operating system has no randomness.
    pub async fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let url = format!("http://{}", reachable(listener.local_addr()?));
        let credentials = credentials(&url)?;
        let clock = Clock::reading(options.now);
        let today = today(clock.now());
        let crm = seed::sow(today);
        let mut key = [0; 32];
        token::fill(&mut key)?;
        let tokens = tokens(&credentials, &crm);
        let desk = Desk::new(
            url,
            clock,
            options.settings,
            tokens,
            Cursors::new(key),
            crm,
            today,
        );
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(serve::accept(
            listener,
            Arc::new(desk),
            stop.clone(),
            tasks.clone(),
        ));
        Ok(Self {
            credentials,
            tasks,
            stop: stop.drop_guard(),
        })
    }

    /// The base URL of the accounts server and of the API alike.
    pub fn url(&self) -> &str {
        &self.credentials.api
    }

    /// What a client needs.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Ends all connections and waits until they are gone.
    pub async fn stop(self) {
        self.tasks.close();
        drop(self.stop);
        self.tasks.wait().await;
    }
}

/// The address that a client on this machine can use.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        match address {
            SocketAddr::V4(_) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(_) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        }
    }
    address
}

/// The day that it is at the company.
fn today(now: Timestamp) -> Date {
    now.to_zoned(staff::zone(staff::ORG_ZONE)).date()
}

fn credentials(url: &str) -> io::Result<Credentials> {
    let mut bytes = [0; 36];
    token::fill(&mut bytes)?;
    let digits = token::hex(&bytes);
    let (id, secret) = digits.split_at_checked(30).unwrap_or_default();
    Ok(Credentials {
        accounts: url.to_owned(),
        api: url.to_owned(),
        client_id: format!("1000.{}", id.to_uppercase()),
        client_secret: secret.to_owned(),
        refresh_tokens: RefreshTokens {
            admin: token::fresh()?,
            manager: token::fresh()?,
            rep_1: token::fresh()?,
        },
    })
}

fn tokens(credentials: &Credentials, crm: &Crm) -> Tokens {
    let refresh = &credentials.refresh_tokens;
    let holders = [
        (&refresh.admin, staff::ADMIN),
        (&refresh.manager, staff::MANAGER),
        (&refresh.rep_1, staff::REP),
    ];
    let grants = holders
        .into_iter()
        .filter_map(|(token, at)| Some((token.clone(), crm.users.get(at)?.id)));
    let holder = crm.users.get(staff::ADMIN).map(|user| user.id);
    Tokens::new(
        credentials.client_id.clone(),
        credentials.client_secret.clone(),
        grants,
    )
    .for_org(format!("ZohoCRM.{}", crm.org.zgid()), holder)
}

#[cfg(test)]
mod tests;
