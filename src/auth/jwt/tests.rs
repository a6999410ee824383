use serde_json::json;

use super::*;

impl Token {
    /// Any token.
    pub(super) fn sample() -> Self {
        let claims = json!({ "sub": "u", "aud": "a", "iat": 1, "exp": 2 });
        let facts = Facts {
            algorithm: Algorithm::HS256,
            kind: "jwt".into(),
            claims: Claims::read(claims.as_object().unwrap()).unwrap(),
        };
        let issuer: Arc<str> = "https://login.example.com/".into();
        Self {
            client: "agent".into(),
            user: User {
                issuer: issuer.clone(),
                subject: "u".into(),
            },
            scopes: None,
            key_id: None,
            certificate: None,
            standing: TokenStanding {
                issuer,
                key: [0; 32],
                expires: Timestamp::MAX,
                facts: Arc::new(facts),
                verdict: Verdict {
                    client: "agent".into(),
                    scopes: None,
                },
            },
            generation: 0,
            last_second: i64::MAX,
        }
    }
}
