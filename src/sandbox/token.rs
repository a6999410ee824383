//! `/oauth/v2`: access tokens for refresh tokens, with the limits that Zoho puts on them.

mod rules;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{cell::Id, query::Query, scope};
use rules::LIFETIME;
pub(super) use rules::Rules;

/// The tokens that are out.
pub(super) struct Tokens {
    client_id: String,
    client_secret: String,
    grants: Vec<Grant>,
    live: HashMap<String, Live>,
    minted: u64,
    refused: u64,
    rules: Rules,
    /// For whom a client asks by itself, and under which name.
    org: Option<(String, Grant)>,
}

/// What a refresh token stands for.
struct Grant {
    refresh: String,
    user: Id,
    revoked: bool,
    /// When the newest tokens were minted.
    mints: VecDeque<Timestamp>,
    /// The latest attempt that was denied: the lock-out starts anew with each.
    denied: Option<Timestamp>,
    /// Access tokens from the oldest to the newest.
    tokens: VecDeque<String>,
}

/// An access token that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) user: Id,
    pub(super) expires: Timestamp,
    /// What it was asked for, where that was not settled with a refresh token.
    pub(super) scope: Option<Arc<str>>,
}

impl Tokens {
    /// Tokens of one client and of the users behind each refresh token.
    pub(super) fn new(
        client_id: String,
        client_secret: String,
        grants: impl IntoIterator<Item = (String, Id)>,
    ) -> Self {
        let grants = grants.into_iter();
        let grants = grants.map(|(refresh, user)| Grant::new(refresh, user));
        let grants = grants.collect();
        Self {
            client_id,
            client_secret,
            grants,
            live: HashMap::new(),
            minted: 0,
            refused: 0,
            rules: Rules::default(),
            org: None,
        }
    }

    /// Tokens of the org as well, which work as those of `user`.
    pub(super) fn for_org(mut self, name: String, user: Option<Id>) -> Self {
        self.org = user.map(|user| (name, Grant::new(String::new(), user)));
        self
    }

    /// What holds from now on.
    pub(super) fn rule(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// `POST /oauth/v2/token`; `fresh` becomes the token if one is due.
    pub(super) fn mint(
        &mut self,
        form: &Query,
        fresh: String,
        api: &str,
        now: Timestamp,
    ) -> (u16, Value) {
        let error_status = self.rules.error_status;
        let refuse = |error: &str| (error_status, json!({"error": error}));
        if form.get("client_id") != Some(&self.client_id) {
            return refuse("invalid_client");
        }
        if form.get("client_secret") != Some(&self.client_secret) {
            return refuse("invalid_client_secret");
        }
        let asked = |name| form.get(name).unwrap_or_default();
        let mut own = None;
        let grant = match asked("grant_type") {
            "refresh_token" => {
                let refresh = asked("refresh_token");
                let mut grants = self.grants.iter_mut();
                grants.find(|grant| grant.refresh == refresh && !grant.revoked)
            }
            "client_credentials" if self.rules.client_credentials => {
                own = scope::asked(asked("scope")).map(Arc::from);
                if own.is_none() {
                    return refuse("invalid_scope");
                }
                let org = self.org.as_mut();
                org.filter(|(name, _)| name == asked("soid"))
                    .map(|(_, grant)| grant)
            }
            // Nobody was ever given a grant token here.
            "authorization_code" => None,
            _ => return refuse("unsupported_grant_type"),
        };
        let Some(grant) = grant else {
            return refuse("invalid_code");
        };
        if grant.is_throttled(now) {
            self.refused += 1;
            return (
                self.rules.denied_status,
                json!({"error_description": THROTTLED, "error": "Access Denied", "status": "failure"}),
            );
        }
        while grant.tokens.len() >= self.rules.most_live.max(1)
            && let Some(oldest) = grant.tokens.pop_front()
        {
            self.live.remove(&oldest);
        }
        let expires = now.as_second() + LIFETIME;
        let live = Live {
            user: grant.user,
            expires: Timestamp::from_second(expires).unwrap_or(now),
            scope: own,
        };
        let given = self.rules.given(&fresh, live.scope.as_deref(), api);
        grant.tokens.push_back(fresh.clone());
        self.live.insert(fresh, live);
        self.minted += 1;
        (200, given)
    }

    /// `POST /oauth/v2/token/revoke`: a refresh token takes its access tokens with it.
    pub(super) fn revoke(&mut self, token: &str) -> (u16, Value) {
        let success = json!({"status": "success"});
        if self.live.remove(token).is_some() {
            return (200, success);
        }
        let Some(grant) = self
            .grants
            .iter_mut()
            .find(|grant| grant.refresh == token && !grant.revoked)
        else {
            return (200, json!({"error": "invalid_code"}));
        };
        grant.revoked = true;
        for token in grant.tokens.drain(..) {
            self.live.remove(&token);
        }
        (200, success)
    }

    /// Every access token stops working; the refresh tokens stay.
    pub(super) fn revoke_access(&mut self) {
        self.live.clear();
        for grant in self.all() {
            grant.tokens.clear();
        }
    }

    /// Everything as at the start.
    pub(super) fn reset(&mut self) {
        self.revoke_access();
        (self.minted, self.refused) = (0, 0);
        for grant in self.all() {
            grant.revoked = false;
            grant.mints.clear();
            grant.denied = None;
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Grant> {
        let org = self.org.as_mut().map(|(_, grant)| grant);
        self.grants.iter_mut().chain(org)
    }

    /// Who is behind an access token that still works.
    pub(super) fn check(&self, token: &str, now: Timestamp) -> Option<Live> {
        self.live
            .get(token)
            .filter(|live| live.expires > now)
            .cloned()
    }

    /// Minted, refused for too many attempts, and working at this time.
    pub(super) fn counts(&self, now: Timestamp) -> Value {
        let live = self.live.values().filter(|live| live.expires > now).count();
        json!({"minted": self.minted, "throttled": self.refused, "live": live})
    }
}

impl Grant {
    const fn new(refresh: String, user: Id) -> Self {
        Self {
            refresh,
            user,
            revoked: false,
            mints: VecDeque::new(),
            denied: None,
            tokens: VecDeque::new(),
        }
    }

    fn is_throttled(&mut self, now: Timestamp) -> bool {
        let recent = |at: &Timestamp| now.as_second() - at.as_second() < WINDOW;
        if self.denied.as_ref().is_some_and(recent)
            || self.mints.iter().filter(|at| recent(at)).count() >= MOST_MINTS
        {
            self.denied = Some(now);
            return true;
        }
        if self.mints.len() >= MOST_MINTS {
            self.mints.pop_front();
        }
        self.mints.push_back(now);
        false
    }
}

/// A token as Zoho writes it: `1000.<32hex>.<32hex>`.
pub(super) fn fresh() -> std::io::Result<String> {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes)?;
    let digits = hex(&bytes);
    let (one, two) = digits.split_at_checked(32).unwrap_or_default();
    Ok(format!("1000.{one}.{two}"))
}

/// Random bytes from the system.
pub(super) fn fill(bytes: &mut [u8]) -> std::io::Result<()> {
    getrandom::fill(bytes).map_err(std::io::Error::other)
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const MOST_MINTS: usize = 10;
const WINDOW: i64 = 600;
const THROTTLED: &str =
    "You have made too many requests continuously. Please try again after some time.";

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(
            "id".into(),
            "secret".into(),
            [
                ("1000.a.b".to_owned(), Id(7)),
                ("1000.c.d".to_owned(), Id(8)),
            ],
        )
    }

    fn form(refresh: &str) -> Query {
        let text = format!(
            "grant_type=refresh_token&client_id=id&client_secret=secret&refresh_token={refresh}"
        );
        Query::parse(&text).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_780_000_000 + second).unwrap()
    }

    #[test]
    fn a_token_works_for_an_hour_and_for_its_user() {
        let mut tokens = tokens();
        let (status, body) = tokens.mint(&form("1000.a.b"), "t".into(), "http://x", at(0));
        assert_eq!(
            (status, &body["access_token"], &body["expires_in"]),
            (200, &json!("t"), &json!(3600))
        );
        assert_eq!(tokens.check("t", at(3599)).unwrap().user, Id(7));
        assert_eq!(tokens.check("t", at(3600)), None);
        assert_eq!(tokens.check("u", at(0)), None);
    }

    #[test]
    fn the_eleventh_mint_within_ten_minutes_is_denied_and_a_retry_extends_it() {
        let mut tokens = tokens();
        for n in 0..10 {
            assert_eq!(
                tokens.mint(&form("1000.a.b"), format!("t{n}"), "", at(n)).0,
                200
            );
        }
        let (status, body) = tokens.mint(&form("1000.a.b"), "t".into(), "", at(60));
        assert_eq!((status, &body["error"]), (400, &json!("Access Denied")));
        assert_eq!(
            tokens.mint(&form("1000.c.d"), "u".into(), "", at(60)).0,
            200,
            "another grant is not affected"
        );
        for n in 0..10 {
            assert_eq!(
                tokens
                    .mint(&form("1000.a.b"), "t".into(), "", at(300 + n))
                    .0,
                400
            );
        }
        assert_eq!(
            tokens.mint(&form("1000.a.b"), "t".into(), "", at(700)).0,
            400,
            "the retries counted"
        );
        assert_eq!(
            tokens.mint(&form("1000.a.b"), "t".into(), "", at(1400)).0,
            200
        );
    }

    #[test]
    fn one_attempt_during_the_lock_out_is_enough_to_extend_it() {
        let mut tokens = tokens();
        let mut mint = |second| {
            tokens
                .mint(&form("1000.a.b"), format!("t{second}"), "", at(second))
                .0
        };
        for _ in 0..10 {
            assert_eq!(mint(0), 200);
        }
        let told = [598, 602, 1201, 1802].map(mint);
        assert_eq!(told, [400, 400, 400, 200]);
    }

    #[test]
    fn the_sixteenth_token_ends_the_oldest() {
        let mut tokens = tokens();
        for n in 0..16 {
            assert_eq!(
                tokens
                    .mint(&form("1000.a.b"), format!("t{n}"), "", at(n * 100))
                    .0,
                200
            );
        }
        assert_eq!(tokens.check("t0", at(1500)), None);
        assert!(tokens.check("t1", at(1500)).is_some());
        assert!(tokens.check("t15", at(1500)).is_some());
    }

    #[test]
    fn refusals_come_with_status_200() {
        let mut tokens = tokens();
        for (text, error) in [
            ("grant_type=refresh_token&client_id=no", "invalid_client"),
            (
                "grant_type=refresh_token&client_id=id&client_secret=no",
                "invalid_client_secret",
            ),
            (
                "grant_type=refresh_token&client_id=id&client_secret=secret&refresh_token=x",
                "invalid_code",
            ),
        ] {
            let answer = tokens.mint(&Query::parse(text).unwrap(), "t".into(), "", at(0));
            assert_eq!(answer, (200, json!({"error": error})));
        }
        tokens.mint(&form("1000.a.b"), "t".into(), "", at(0));
        assert_eq!(
            tokens.revoke("1000.a.b"),
            (200, json!({"status": "success"}))
        );
        assert_eq!(tokens.check("t", at(1)), None);
        assert_eq!(
            tokens.mint(&form("1000.a.b"), "t".into(), "", at(2)).1,
            json!({"error": "invalid_code"})
        );
    }
}
