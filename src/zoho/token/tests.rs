use super::*;

#[test]
fn a_life_is_in_seconds_whatever_the_age_of_the_server() {
    let life = |text: &str| serde_json::from_str::<Answer>(text).unwrap().life();
    assert_eq!(life(r#"{"expires_in":3600}"#).as_secs(), 3600);
    assert_eq!(
        life(r#"{"expires_in":1800000,"expires_in_sec":1800}"#).as_secs(),
        1800
    );
    assert_eq!(life("{}").as_secs(), 3600);
    assert_eq!(life(r#"{"expires_in":-4}"#).as_secs(), 1);
}

#[test]
fn failures_are_told_apart_by_their_name_alone() {
    for status in [200, 400] {
        assert!(matches!(why("invalid_code", status), Why::Refused(_)));
        assert!(matches!(
            why("invalid_client_secret", status),
            Why::Refused(_)
        ));
        assert!(matches!(why("Access Denied", status), Why::Throttled));
    }
    assert!(matches!(
        why("general_error", 500),
        Why::Trouble(Problem::Status(500))
    ));
}

#[test]
fn a_throttled_refresh_waits_five_to_fifteen_minutes() {
    for random in [0, u32::MAX / 2, u32::MAX] {
        let pause = Why::Throttled.pause(0, random).as_secs();
        assert!((300..=900).contains(&pause), "{pause}");
    }
    let trouble = Why::Trouble(Problem::Timeout);
    assert!(trouble.pause(0, 0) < Duration::from_secs(1));
    assert_eq!(trouble.pause(u32::MAX, 0), Duration::from_secs(65));
}
