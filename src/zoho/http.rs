//! One HTTP exchange: no redirects, no cookies, a body of bounded size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use http::{StatusCode, header};
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Response, Url, redirect::Policy};
use tokio::time::{Instant, sleep, sleep_until};

use super::{BadConfig, Problem};

/// How a client is set up.
#[derive(Clone, Copy, Debug)]
pub struct HttpSetup {
    /// Time to open a connection.
    pub connect_timeout: Duration,
    /// Idle connections kept for each host.
    pub idle: usize,
    /// Refuses `http` addresses.
    pub https_only: bool,
    /// Loads the system's certificate authorities; without them no `https` address is reachable.
    pub authorities: bool,
}

/// The one way to build an HTTP client: bounded times, no redirects, no cookies, no proxy from the
/// environment.
pub fn http_client(setup: &HttpSetup) -> Result<Client, BadConfig> {
    let mut builder = Client::builder()
        .user_agent(concat!("zoho-mcp/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .https_only(setup.https_only)
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .http2_keep_alive_interval(Duration::from_secs(20))
        .http2_keep_alive_timeout(Duration::from_secs(5))
        .connect_timeout(setup.connect_timeout)
        .pool_max_idle_per_host(setup.idle)
        .pool_idle_timeout(Duration::from_secs(50));
    if !setup.authorities {
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(BadConfig::Client)
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// What `Retry-After` asked for.
    pub(super) retry_after: Option<Duration>,
    /// When it was, by Zoho's clock, to the second.
    pub(super) date: Option<Timestamp>,
    /// Credits that remain today; Zoho says it once half of them are spent.
    pub(super) remaining: Option<u32>,
    pub(super) body: Bytes,
}

/// Sends a request and reads its answer; the caller bounds the time.
pub(super) async fn exchange(request: RequestBuilder, cap: usize) -> Result<Reply, Problem> {
    let response = request.send().await.map_err(|error| problem(&error))?;
    let (retry_after, date) = (retry_after(&response), date(&response));
    let remaining = remaining(&response);
    Ok(Reply {
        status: response.status(),
        retry_after,
        date,
        remaining,
        body: read(response, cap).await?,
    })
}

/// How soon a server answers there, if it does within `limit` with whatever but a server error. While it
/// is silent it is asked again and again: a question that was lost says nothing about the next.
pub(super) async fn is_there(http: &Client, url: &Url, limit: Duration) -> Option<Duration> {
    let end = Instant::now() + limit;
    let ask = || async {
        let asked = Instant::now();
        let answer = exchange(http.get(url.clone()), LARGEST_KNOCK).await;
        let is_there = answer.is_ok_and(|reply| !reply.status.is_server_error());
        is_there.then(|| asked.elapsed())
    };
    let mut asked = FuturesUnordered::from_iter([ask()]);
    loop {
        tokio::select! {
            Some(answer) = asked.next() => return answer,
            () = sleep(ASK_AGAIN) => asked.push(ask()),
            () = sleep_until(end) => return None,
        }
    }
}

async fn read(mut response: Response, cap: usize) -> Result<Bytes, Problem> {
    let announced = response.content_length().unwrap_or(0);
    if announced > cap as u64 {
        return Err(Problem::TooLarge);
    }
    let broken = |error: reqwest::Error| problem(&error);
    let Some(first) = response.chunk().await.map_err(broken)? else {
        return Ok(Bytes::new());
    };
    if first.len() > cap {
        return Err(Problem::TooLarge);
    }
    let Some(second) = response.chunk().await.map_err(broken)? else {
        return Ok(first);
    };
    let mut body = BytesMut::with_capacity((announced as usize).max(first.len() + second.len()));
    body.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(chunk) = next {
        if body.len() + chunk.len() > cap {
            return Err(Problem::TooLarge);
        }
        body.extend_from_slice(&chunk);
        next = response.chunk().await.map_err(broken)?;
    }
    Ok(body.freeze())
}

/// `Connect` only where the request was provably not sent.
fn problem(error: &reqwest::Error) -> Problem {
    if error.is_connect() || error.is_builder() {
        Problem::Connect
    } else if error.is_timeout() {
        Problem::Timeout
    } else {
        Problem::Broken
    }
}

fn date(response: &Response) -> Option<Timestamp> {
    let value = response.headers().get(header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    Some(date.timestamp())
}

fn remaining(response: &Response) -> Option<u32> {
    let value = response.headers().get("x-api-credits-remaining")?;
    let credits: i64 = value.to_str().ok()?.trim().parse().ok()?;
    Some(u32::try_from(credits.max(0)).unwrap_or(u32::MAX))
}

/// Seconds only: Zoho documents none, proxies before it send seconds.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds: u64 = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(86_400)))
}

const LARGEST_KNOCK: usize = 256 * 1024;
const ASK_AGAIN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_permission_nothing_is_sent_in_the_clear() {
        let setup = HttpSetup {
            connect_timeout: Duration::from_secs(1),
            idle: 1,
            https_only: true,
            authorities: true,
        };
        let client = http_client(&setup).unwrap();
        let result = exchange(client.get("http://127.0.0.1:9/"), 1).await;
        assert_eq!(result.unwrap_err(), Problem::Connect);
    }
}
