use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::json;

use super::*;

/// A pair: what the set has of it, and what signs.
fn pair(id: Option<&str>) -> (Arc<Key>, EncodingKey) {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let x = base64(pair.public_key_raw());
    let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
    if let Some(id) = id {
        jwk["kid"] = id.into();
    }
    let key = Key::of_jwk(jwk.as_object().unwrap()).unwrap();
    let private = EncodingKey::from_ed_der(&pair.serialize_der());
    (Arc::new(key), private)
}

fn base64(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}

fn token(id: Option<&str>, private: &EncodingKey) -> String {
    let header = json!({ "alg": "EdDSA", "kid": id });
    let header = header.as_object().unwrap().clone();
    let header: serde_json::Map<_, _> = header
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect();
    let header = json!(header).to_string();
    let signed = format!("{}.{}", base64(header.as_bytes()), base64(b"{}"));
    let signature = crypto::sign(signed.as_bytes(), private, Algorithm::EdDSA).unwrap();
    format!("{signed}.{signature}")
}

fn signed_by(keys: &[Arc<Key>], token: &str) -> Result<[u8; 32], BadToken> {
    let held = Held {
        keys: keys.into(),
        fetched: Instant::now(),
        generation: 0,
    };
    let token = Compact::parse(token).unwrap();
    held_signer(Some(&held), &token).map(|(key, _)| key.print)
}

#[test]
fn each_key_that_a_token_can_mean_is_tried() {
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let ((one, signs_one), (two, signs_two)) = (pair(Some("a")), pair(Some("a")));
    let (other, signs_other) = pair(Some("b"));
    let keys = [one.clone(), two.clone(), other.clone()];
    for (key, private, id) in [
        (&one, &signs_one, Some("a")),
        (&two, &signs_two, Some("a")),
        (&two, &signs_two, None),
        (&other, &signs_other, None),
    ] {
        assert_eq!(
            signed_by(&keys, &token(id, private)),
            Ok(key.print),
            "{id:?}"
        );
    }
    let wrong = |id| signed_by(&keys, &token(id, &signs_other));
    assert_eq!(wrong(Some("a")), Err(BadToken::Signature));
    assert_eq!(wrong(Some("c")), Err(BadToken::UnknownKey));
}

#[test]
fn so_many_keys_are_tried_and_no_more() {
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let pairs: Vec<_> = (0..9).map(|_| pair(None)).collect();
    let keys: Vec<_> = pairs.iter().map(|(key, _)| key.clone()).collect();
    let found = |n: usize| signed_by(&keys, &token(None, &pairs[n].1));
    assert!(found(7).is_ok());
    assert_eq!(found(8), Err(BadToken::Signature));
}

#[test]
fn an_unknown_key_id_is_looked_for_twice_a_minute() {
    let (start, mut turn) = (Instant::now(), Turn::default());
    let asks = (0..60_000).filter(|ms| {
        let now = start + Duration::from_millis(*ms);
        let may = turn.may_ask(now, true);
        if may {
            turn.asked = Some(now);
        }
        may
    });
    assert_eq!(asks.count(), 2);
}

fn jwks() -> Arc<Jwks> {
    let url = Url::parse("http://127.0.0.1:9/").unwrap();
    let audit = Audit::discarding(crate::audit::OnFailure::Continue);
    let http = Client::builder().build().unwrap();
    Jwks::new(url, "issuer".into(), http, audit, None)
}

#[tokio::test(start_paused = true)]
async fn the_next_fetch_is_some_time_after_the_last_one_whoever_asked_for_that() {
    let jwks = jwks();
    jwks.take(vec![pair(Some("a")).0], false);
    let fetched = async |after: Duration, in_vain: bool| {
        tokio::time::sleep(after).await;
        jwks.is_failing.store(in_vain, Ordering::Release);
        jwks.turn.lock().await.ended = Some(Instant::now());
        jwks.ended.notify_one();
    };
    let rested = async |after: Duration, in_vain: bool| {
        let began = Instant::now();
        tokio::join!(jwks.rest(), fetched(after, in_vain));
        began.elapsed().as_secs()
    };
    fetched(Duration::ZERO, false).await;
    let late = REFRESH - Duration::from_secs(1);
    assert_eq!(rested(late, false).await, (late + REFRESH).as_secs());
    fetched(Duration::ZERO, false).await;
    let soon = Duration::from_secs(1);
    assert_eq!(rested(soon, true).await, (soon + COOLDOWN).as_secs());
    jwks.refresh();
    assert_eq!(rested(Duration::ZERO, true).await, 0);
}

#[tokio::test(start_paused = true)]
async fn keys_are_held_for_a_day_after_the_last_good_fetch() {
    let jwks = jwks();
    let key = || pair(Some("a")).0;
    let (first, second) = (key(), key());
    assert_eq!(jwks.generation(), None);
    assert_eq!(jwks.take(vec![first.clone()], false), None);
    assert_eq!(jwks.take(vec![first], true), Some("jwks_available"));
    assert_eq!(jwks.generation(), Some(0));
    assert_eq!(jwks.take(vec![second.clone()], false), Some("jwks_changed"));
    assert_eq!(jwks.generation(), Some(1));
    tokio::time::advance(STALE - Duration::from_secs(1)).await;
    assert_eq!(jwks.keys().len(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(jwks.keys().is_empty() && jwks.generation().is_none());
    assert_eq!(jwks.take(vec![second], false), None);
    assert_eq!(jwks.take(Vec::new(), false), Some("jwks_empty"));
    assert_eq!(jwks.take(Vec::new(), false), None);
    assert!(jwks.keys().is_empty() && jwks.generation().is_some());
}
