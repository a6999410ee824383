//! Web pages that call from a browser: the configured ones can, no others.

use reqwest::Method;

use crate::{
    agent::{Agent, Answer},
    house::{House, SUPPORT},
};

const PAGE: &str = "https://app.example.com";

async fn house() -> House {
    House::with(|setup| {
        setup.set("server.origins", "[\"https://app.example.com\"]");
    })
    .await
}

async fn preflight(agent: Agent, path: &str, headers: &str) -> Answer {
    let agent = agent
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", headers);
    agent.send(Method::OPTIONS, path, "").await
}

#[tokio::test]
async fn a_configured_page_is_let_in_by_a_preflight_without_a_credential() {
    let house = house().await;
    let page = || house.stranger(None).with("origin", PAGE);
    let wanted = "authorization,content-type,mcp-protocol-version,mcp-method,x-api-key,x-other";
    for path in ["/mcp", "/sse", "/messages"] {
        let answer = preflight(page(), path, wanted).await;
        assert_eq!(answer.status, 204, "{path}: {}", answer.text);
        assert_eq!(answer.header("access-control-allow-origin"), PAGE);
        assert_eq!(
            answer.header("access-control-allow-headers"),
            "authorization, content-type, mcp-protocol-version, mcp-method, x-api-key"
        );
        let methods = answer.header("access-control-allow-methods");
        assert!(methods.contains("POST"), "{methods}");
        let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
        assert!(vary.iter().any(|value| *value == "origin"), "{vary:?}");
    }
    assert!(house.events("auth_failed").is_empty());
}

#[tokio::test]
async fn a_configured_page_reads_answers_and_refusals() {
    let house = house().await;
    let page = house.agent(SUPPORT).with("origin", PAGE);
    let nobody = house.stranger(None).with("origin", PAGE);
    for (agent, status) in [(page, 200), (nobody, 401)] {
        let answer = agent.list().await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), PAGE);
        let exposed = answer.header("access-control-expose-headers");
        for name in [
            "WWW-Authenticate",
            "RateLimit",
            "Retry-After",
            "Mcp-Session-Id",
        ] {
            assert!(exposed.contains(name), "{name}: {exposed}");
        }
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

#[tokio::test]
async fn nobody_else_hears_anything_of_it() {
    let house = house().await;
    let foreign = house.stranger(None).with("origin", "https://evil.example");
    let refused = preflight(foreign, "/mcp", "authorization").await;
    assert_eq!(refused.status, 403);
    let agent = house.agent(SUPPORT).list().await;
    let probe = house
        .stranger(None)
        .with("origin", PAGE)
        .get("/livez")
        .await;
    for answer in [refused, agent, probe] {
        let mut names = answer.headers.keys().map(|name| name.as_str());
        assert!(!names.any(|name| name.starts_with("access-control-")));
    }
    let unasked = house.stranger(None);
    let answer = preflight(unasked, "/mcp", "authorization").await;
    assert_ne!(answer.status, 204, "no origin, no preflight");
}
