//! Bearer tokens: whose are accepted, what they allow, and how clients find out where to get one.

mod keys;
mod rotation;
mod trail;

use jsonwebtoken::Algorithm;
use serde_json::json;

use crate::{
    agent::Agent,
    bad_tokens,
    house::{House, SUPPORT, eventually},
    issuer::{AUDIENCE, Issuer, Key, now},
};

const SECRET: &str = "a secret of thirty-two bytes or more";
const AS_SUPPORT: &str = "client = \"customer-service-agent\"";

impl House {
    fn bearer(&self, token: &str) -> Agent {
        let value = format!("Bearer {token}");
        self.stranger(None).with("authorization", &value)
    }

    async fn status(&self, token: &str) -> u16 {
        let answer = self.bearer(token).list().await;
        answer.status.as_u16()
    }

    async fn behind(issuer: &Issuer) -> Self {
        Self::with(|setup| {
            setup.config(&issuer.config(AS_SUPPORT));
            setup.set(
                "limits.failed_logins",
                "{ requests = 100000, per = \"1m\" }",
            );
        })
        .await
    }
}

#[tokio::test]
async fn a_token_of_each_algorithm_names_client_user_and_key() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, RS256};
    let algorithms = [RS256, PS256, ES256, ES384, EdDSA];
    let keys = algorithms.map(|algorithm| Key::new(&format!("{algorithm:?}"), algorithm));
    let issuer = Issuer::start(&keys.each_ref()).await;
    let listed = "algorithms = [\"RS256\", \"PS256\", \"ES256\", \"ES384\", \"EdDSA\"]";
    let secret = Key::secret(SECRET);
    let house = House::with(|setup| {
        setup.variable("ISSUER_SECRET", SECRET);
        setup.config(&issuer.config(&format!("{AS_SUPPORT}\n{listed}")));
        setup.config(&format!(
            "[[auth.jwt]]\nissuer = \"ours\"\naudience = \"{AUDIENCE}\"\nrole = \"dashboard\"\nhs256_secret = \"env:ISSUER_SECRET\"\n"
        ));
    })
    .await;
    for (n, (key, algorithm)) in keys.iter().zip(algorithms).enumerate() {
        let subject = format!("a{n:031x}");
        let token = issuer.token(key, json!({ "sub": subject }));
        assert_eq!(house.status(&token).await, 200, "{algorithm:?}");
        let told = house
            .recorded("auth_success", |line| line["userId"] == *subject)
            .await;
        assert_eq!(
            (&told["clientId"], &told["authMethod"], &told["keyId"]),
            (
                &json!(SUPPORT),
                &json!("jwt"),
                &json!(format!("{algorithm:?}"))
            )
        );
    }
    let shared = issuer.token(&secret, json!({ "iss": "ours" }));
    let tools = house.bearer(&shared).tools().await;
    assert_eq!(tools, ["get_dashboard_metrics"]);
}

#[tokio::test]
async fn no_bad_token_gets_in_and_the_log_says_why() {
    let own = Key::new("own", Algorithm::RS256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::behind(&issuer).await;
    assert_eq!(house.status(&issuer.token(&own, json!({}))).await, 200);
    let forge = bad_tokens::Forge::new(&issuer, &own);
    let cases = bad_tokens::corpus();
    assert!(cases.len() >= 60, "{}", cases.len());
    for (place, case) in cases.iter().enumerate() {
        let name = case["name"].as_str().unwrap();
        let mut agent = house.stranger(None);
        for value in forge.authorization(case) {
            agent = agent.with("authorization", &value);
        }
        let answer = agent.list().await;
        let reason = case["reason"].as_str().unwrap();
        assert_eq!(answer.status, 401, "{name}: {}", answer.text);
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with("Bearer"), "{name}");
        let text = match reason {
            "token_expired" => "Token expired",
            "conflict" => "The credentials that were sent disagree. Send those of one client only",
            _ => "Invalid token",
        };
        assert_eq!(answer.json()["error"], text, "{name}");
        assert_eq!(
            challenge.contains("invalid_token"),
            reason != "conflict",
            "{name}"
        );
        let failures = eventually(name, || {
            let failures = house.events("auth_failed");
            (failures.len() > place).then_some(failures)
        })
        .await;
        assert_eq!(failures.len(), place + 1, "{name}");
        assert_eq!(failures[place]["reason"], reason, "{name}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::behind(&issuer).await;
    let expires = now() + 3;
    let token = issuer.token(&own, json!({ "exp": expires }));
    let mut stream = house.bearer(&token).stream().await;
    stream.initialize().await;
    assert_eq!(stream.next().await, None);
    assert!(
        (expires..expires + 5).contains(&now()),
        "{}",
        now() - expires
    );
    let closed = house.event("session_close").await;
    assert_eq!(closed["reason"], "token_expired");
    assert_eq!(house.events("session_close").len(), 1);
}

#[tokio::test]
async fn scopes_narrow_the_role_and_a_challenge_says_which_are_missing() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::behind(&issuer).await;
    let all = ["create_note", "get_contact_history", "search_contacts"];
    let cases = [
        (json!({}), &all[..]),
        (json!({ "scope": "crm:read" }), &all[1..]),
        (json!({ "scp": ["crm:read", "crm:write"] }), &all),
        (json!({ "permissions": ["tool:create_note"] }), &all[..1]),
        (json!({ "scope": "get_revenue_report openid" }), &[]),
        (json!({ "scope": "openid profile" }), &[]),
        (
            json!({ "scope": "openid profile", "permissions": ["crm:read"] }),
            &all[1..],
        ),
        (
            json!({ "scope": "openid search_contacts", "permissions": ["crm:read"] }),
            &all[2..],
        ),
        (json!({ "scope": "openid", "permissions": [] }), &[]),
        (
            json!({ "scope": "crm:read", "permissions": ["reports"] }),
            &[],
        ),
    ];
    for (claims, tools) in cases {
        let token = issuer.token(&own, claims.clone());
        assert_eq!(house.bearer(&token).tools().await, tools, "{claims}");
    }
    let reader = house.bearer(&issuer.token(&own, json!({ "scope": "crm:read" })));
    let note = json!({ "record_id": "1", "content": "x" });
    let refused = reader.call("create_note", note.clone()).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, 403));
    assert_eq!(refused.json()["id"], 1);
    let challenge = refused.header("www-authenticate");
    for part in [
        "Bearer ",
        "error=\"insufficient_scope\"",
        "scope=\"crm:read crm:write\"",
        "/.well-known/oauth-protected-resource/mcp\"",
    ] {
        assert!(challenge.contains(part), "{challenge}");
    }
    let mut stream = reader.stream().await;
    stream.initialize().await;
    let told = stream.call(7, "create_note", note).await;
    assert_eq!(told["error"]["code"], 403, "{told}");
    assert_eq!(house.zoho.notes_written().await, 0);
    house.event("tool_access_denied").await;
}

#[tokio::test]
async fn a_client_without_a_token_finds_out_where_to_get_one() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config(AS_SUPPORT));
        // Nobody can log in at whoever shares a secret with us.
        setup.variable("ISSUER_SECRET", SECRET);
        setup.config(&format!(
            "[[auth.jwt]]\nissuer = \"https://ours.example/\"\naudience = \"{AUDIENCE}\"\n{AS_SUPPORT}\nhs256_secret = \"env:ISSUER_SECRET\"\n"
        ));
        setup.set("server.public_url", "https://mcp.example.com");
        setup.set("auth.api_keys.enabled", "false");
    })
    .await;
    let nobody = house.stranger(None).list().await;
    assert_eq!(nobody.status, 401);
    assert_eq!(nobody.json()["error"], "Bearer token required");
    let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
    assert_eq!(
        nobody.header("www-authenticate"),
        format!(
            "Bearer realm=\"zoho-mcp\", resource_metadata=\"{metadata}\", scope=\"crm:read crm:write\""
        )
    );
    for path in ["/mcp", ""] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let found = house.stranger(None).get(&path).await.json();
        assert_eq!(found["resource"], "https://mcp.example.com/mcp");
        assert_eq!(found["authorization_servers"], json!([issuer.url]));
        assert_eq!(found["scopes_supported"], json!(["crm:read", "crm:write"]));
        assert_eq!(found["bearer_methods_supported"], json!(["header"]));
    }
    let key = house.agent(SUPPORT).list().await;
    assert_eq!(key.json()["error"], "Invalid API key");
}

#[tokio::test]
async fn without_an_issuer_there_is_nothing_to_find() {
    let house = House::start().await;
    let stranger = house.stranger(None);
    let answer = stranger.get("/.well-known/oauth-protected-resource").await;
    assert_eq!(answer.status, 404);
    let nobody = stranger.list().await;
    assert_eq!(
        nobody.header("www-authenticate"),
        "Bearer realm=\"zoho-mcp\""
    );
}

#[tokio::test]
async fn a_token_stops_here() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::behind(&issuer).await;
    let token = issuer.token(&own, json!({}));
    let search = json!({ "name": "a", "limit": 1 });
    house
        .bearer(&token)
        .call("search_contacts", search)
        .await
        .content();
    let journal = house.zoho.journal().await;
    let asked = journal
        .iter()
        .find(|entry| entry["path"] == "/crm/v8/Contacts/search");
    assert_eq!(asked.unwrap()["status"], 200);
    let written = format!(
        "{journal:?}{:?}{}",
        house.audit_text(),
        house.operational_log()
    );
    for part in token.split('.') {
        assert!(!written.contains(part), "{part}");
    }
}

#[tokio::test]
async fn an_issuer_comes_and_goes_with_the_configuration() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::start().await;
    let token = issuer.token(&own, json!({}));
    assert_eq!(house.status(&token).await, 401);
    let file = house.file("zoho-mcp.toml");
    let without = std::fs::read_to_string(&file).unwrap();
    let with = issuer.config(AS_SUPPORT) + &without;
    std::fs::write(&file, with).unwrap();
    house.signal("-HUP");
    house.event("config_reload").await;
    assert_eq!(house.status(&token).await, 200);
    let mut stream = house.bearer(&token).stream().await;
    std::fs::write(&file, without).unwrap();
    house.signal("-HUP");
    assert_eq!(stream.next().await, None);
    assert_eq!(
        house.event("session_close").await["reason"],
        "token_issuer_removed"
    );
    assert_eq!(house.status(&token).await, 401);
}

#[tokio::test]
async fn a_long_answer_ends_with_its_token() {
    let own = Key::new("own", Algorithm::ES256);
    let issuer = Issuer::start(&[&own]).await;
    let house = House::with(|setup| {
        setup.config(&issuer.config("role = \"dashboard\""));
    })
    .await;
    house
        .zoho
        .fault(json!({ "fault": "latency", "path": "/crm/v8/coql", "delay": "9s" }))
        .await;
    let expires = now() + 3;
    let agent = house.bearer(&issuer.token(&own, json!({ "exp": expires })));
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": "get_dashboard_metrics", "arguments": {}, "_meta": { "progressToken": "p" },
        },
    });
    let answer = agent.post(call.to_string()).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert!(
        answer.text.contains("notifications/progress"),
        "{}",
        answer.text
    );
    assert!(!answer.text.contains("\"result\""), "{}", answer.text);
    assert!(
        (expires..expires + 5).contains(&now()),
        "{}",
        now() - expires
    );
    house.event("tool_call_cancelled").await;
}
