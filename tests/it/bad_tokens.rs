//! The corpus of bad tokens, `tests/corpus/bad_tokens.json`, made real for one issuer.
//!
//! A case changes a good token: `header` and `claims` are laid over it (`null` takes a member out,
//! `"now+60"` is a date), `header_text` and `claims_text` replace them, `signed_by` is `own`,
//! `stranger`, `public_key` (HS256 with the issuer's public key as the secret) or `nobody`, `token`
//! and `authorization` say how the parts are put together.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::issuer::{Issuer, Key, now, overlay};

pub(crate) fn corpus() -> Vec<Value> {
    serde_json::from_str(include_str!("../corpus/bad_tokens.json")).unwrap()
}

pub(crate) struct Forge<'a> {
    issuer: &'a Issuer,
    own: &'a Key,
    stranger: Key,
    public_key: Key,
}

impl<'a> Forge<'a> {
    pub(crate) fn new(issuer: &'a Issuer, own: &'a Key) -> Self {
        Self {
            issuer,
            own,
            stranger: Key::new("own", Algorithm::RS256),
            public_key: Key::secret(&own.public_pem),
        }
    }

    /// The `Authorization` headers of a case.
    pub(crate) fn authorization(&self, case: &Value) -> Vec<String> {
        let token = self.token(case);
        let whole = |template: &Value| template.as_str().unwrap().replace("{token}", &token);
        match &case["authorization"] {
            Value::Null => vec![format!("Bearer {token}")],
            Value::Array(templates) => templates.iter().map(whole).collect(),
            template => vec![whole(template)],
        }
    }

    fn token(&self, case: &Value) -> String {
        let text = |whole: &str, changed: &str, good: Value| match &case[whole] {
            Value::String(text) => text.clone(),
            _ => {
                let mut good = good;
                let change = case.get(changed).cloned().unwrap_or(json!({}));
                overlay(&mut good, self.filled(change));
                good.to_string()
            }
        };
        let header = text("header_text", "header", self.own.header());
        let claims = text("claims_text", "claims", self.issuer.claims(json!({})));
        let key = match case["signed_by"].as_str() {
            None | Some("own" | "nobody") => self.own,
            Some("stranger") => &self.stranger,
            Some("public_key") => &self.public_key,
            Some(other) => panic!("{other}"),
        };
        let token = key.sign_text(&header, &claims);
        let parts: Vec<&str> = token.split('.').collect();
        let signature = match case["signed_by"].as_str() {
            Some("nobody") => "",
            _ => parts[2],
        };
        let template = case["token"].as_str().unwrap_or("{h}.{c}.{s}");
        template
            .replace("{h}", parts[0])
            .replace("{c}", parts[1])
            .replace("{s}", signature)
            .replace("{9k}", &"x".repeat(9 << 10))
    }

    /// Dates relative to now, and the issuer's own name and key.
    fn filled(&self, value: Value) -> Value {
        match value {
            Value::String(text) => match text.strip_prefix("now") {
                Some(offset) if offset.parse::<i64>().is_ok() => {
                    (now() + offset.parse::<i64>().unwrap()).into()
                }
                _ => match text.as_str() {
                    "{stranger's jwk}" => self.stranger.public.clone(),
                    "{5k}" => "x".repeat(5 << 10).into(),
                    _ => text.replace("{issuer}", &self.issuer.url).into(),
                },
            },
            Value::Array(list) => list.into_iter().map(|item| self.filled(item)).collect(),
            Value::Object(object) => object
                .into_iter()
                .map(|(name, value)| (name, self.filled(value)))
                .collect(),
            other => other,
        }
    }
}
