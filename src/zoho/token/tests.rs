use super::*;
use crate::zoho::scripted::{ONE, Scripted, call, contact, say, say_token};

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_while_it_still_serves() {
    let server = Scripted::with_tokens(
        |_, _| say(200, ONE),
        |n| say_token(&format!("t{}", n + 1), 3600),
    )
    .await;
    let zoho = server.zoho();
    let tokens = zoho.inner.tokens();
    assert!(contact(&call(&zoho)).await.is_ok());
    {
        let mut state = lock(&tokens.0.state);
        let old = state.token.take().unwrap();
        let left = old.expires - old.renew;
        assert!((150..200).contains(&left.as_secs()), "{left:?}");
        let (header, api, now) = (old.header.clone(), old.api.clone(), Instant::now());
        state.token = Some(Arc::new(Token {
            renew: now,
            ..Token::new(header, api, now, Duration::from_secs(3600))
        }));
    }
    assert!(contact(&call(&zoho)).await.is_ok());
    let flight = lock(&tokens.0.state).flight.clone();
    let _ = flight.unwrap().changed().await;
    assert_eq!(server.mints(), 2);
}
