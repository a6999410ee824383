//! The one question to the accounts server: an access token for a refresh token.

use std::time::Duration;

use http::HeaderValue;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    super::{
        Problem,
        data_center::Servers,
        http::{Reply, exchange},
        lock,
    },
    Mint,
    stop::Why,
};
use crate::telemetry::Trace;

/// What Zoho gave.
pub(super) struct Minted {
    pub(super) secret: SecretString,
    /// The server that it is meant for.
    pub(super) api: Url,
    pub(super) life: Duration,
}

impl Mint {
    pub(super) async fn ask(&self, trace: &Trace) -> Result<Minted, Why> {
        let Ok(url) = self.servers.accounts.join("oauth/v2/token") else {
            return Err(Why::Trouble(Problem::Connect));
        };
        lock(&self.state).tried = true;
        let credentials = &self.credentials;
        let request = self.http.post(url).form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", credentials.refresh_token.expose_secret()),
            ("client_id", &credentials.client_id),
            ("client_secret", credentials.client_secret.expose_secret()),
        ]);
        let span = trace.minting();
        let answer = timeout(self.timeout, exchange(request, LARGEST_ANSWER));
        let reply = answer.await.unwrap_or(Err(Problem::Timeout));
        let status = reply.as_ref().map_or(0, |reply| reply.status.as_u16());
        let minted = reply
            .map_err(Why::Trouble)
            .and_then(|reply| read(&reply, &self.servers));
        span.end(minted.as_ref().map(|_| status).map_err(Why::word));
        minted
    }
}

/// Success is an `access_token`, whatever the status: Zoho sends errors with 200.
fn read(reply: &Reply, servers: &Servers) -> Result<Minted, Why> {
    let status = reply.status.as_u16();
    let Ok(mut answer) = serde_json::from_slice::<Answer>(&reply.body) else {
        return Err(Why::of("", status));
    };
    let given = answer.access_token.take();
    let given = given.filter(|token| !token.expose_secret().is_empty());
    let Some(secret) = given else {
        let error = answer.error.as_ref().and_then(Value::as_str);
        return Err(Why::of(error.unwrap_or(""), status));
    };
    if header(secret.expose_secret()).is_none() {
        return Err(Why::Trouble(Problem::Unreadable));
    }
    Ok(Minted {
        api: servers.api_for(answer.api(servers)),
        secret,
        life: answer.life(),
    })
}

/// The value of `Authorization`; never printed.
pub(super) fn header(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(format!("Zoho-oauthtoken {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// A token is not thrown away because something beside it is not what it should be.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<SecretString>,
    api_domain: Option<Value>,
    error: Option<Value>,
    expires_in: Option<Value>,
    expires_in_sec: Option<Value>,
}

impl Answer {
    /// Old servers say `expires_in_sec`, and milliseconds in `expires_in`. A life that is none is Zoho's
    /// usual one: a token that is refused is replaced, and one thrown away costs a mint.
    fn life(&self) -> Duration {
        let said = [&self.expires_in_sec, &self.expires_in];
        let seconds = said.into_iter().flatten().find_map(number);
        if seconds.is_none() {
            tracing::warn!(
                expires_in = self.expires_in.as_ref().map(short),
                "the accounts server does not say how long a token lives; an hour is assumed"
            );
        }
        Duration::from_secs_f64(seconds.unwrap_or(LONGEST).clamp(SHORTEST, LONGEST))
    }

    /// The API server that it names, if that is one of Zoho's.
    fn api(&self, servers: &Servers) -> Option<&str> {
        let named = self.api_domain.as_ref().filter(|named| !named.is_null())?;
        let text = named.as_str().filter(|text| !servers.passes_over(text));
        if text.is_none() && servers.passes_over("") {
            tracing::warn!(
                "the accounts server names an API server that is not Zoho's ({}); {} is asked \
                 instead. Check [zoho] data_center, and api_url if Zoho is reached another way",
                short(named),
                servers.api_for(None)
            );
        }
        text
    }
}

/// Something that Zoho wrote, for the log.
fn short(value: &Value) -> String {
    let text: String = value.to_string().chars().take(100).collect();
    text.escape_debug().to_string()
}

/// A number above zero, which some servers write as text.
fn number(value: &Value) -> Option<f64> {
    let text = || value.as_str().and_then(|text| text.trim().parse().ok());
    value
        .as_f64()
        .or_else(text)
        .filter(|number| number.is_finite() && *number > 0.0)
}

const LARGEST_ANSWER: usize = 64 * 1024;
/// The lives that a token may have, in seconds.
const SHORTEST: f64 = 60.0;
const LONGEST: f64 = 3600.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_in_seconds_whatever_the_age_of_the_server() {
        let life = |text: &str| serde_json::from_str::<Answer>(text).unwrap().life();
        assert_eq!(life(r#"{"expires_in":3600}"#).as_secs(), 3600);
        assert_eq!(
            life(r#"{"expires_in":1800000,"expires_in_sec":1800}"#).as_secs(),
            1800
        );
        assert_eq!(life(r#"{"expires_in":"1800"}"#).as_secs(), 1800);
        for unsaid in [
            "{}",
            r#"{"expires_in":null}"#,
            r#"{"expires_in":"NaN"}"#,
            r#"{"expires_in":"soon"}"#,
            r#"{"expires_in":[]}"#,
        ] {
            assert_eq!(life(unsaid).as_secs(), 3600, "{unsaid}");
        }
        for (said, lives) in [("-4", 3600), ("0", 3600), ("1e18", 3600), ("1", 60)] {
            let text = format!(r#"{{"expires_in":{said}}}"#);
            assert_eq!(life(&text).as_secs(), lives, "{said}");
        }
    }
}
