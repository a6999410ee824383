use super::*;
use jiff::ToSpan as _;
use secrecy::{ExposeSecret as _, SecretString};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn at(second: i64) -> Timestamp {
    NOW.checked_add(second.seconds()).unwrap()
}

fn key(change: impl FnOnce(&mut KeyRecord)) -> (SecretString, KeyRecord) {
    let end = NOW.checked_add(1.hour()).unwrap();
    let (text, mut record) = ApiKey::generate("live", "agent".into(), NOW, Some(end)).unwrap();
    change(&mut record);
    (text, record)
}

fn check(change: impl FnOnce(&mut KeyRecord), now: Timestamp) -> Result<Verified, BadKey> {
    let (text, record) = key(change);
    KeySet::from(KeyDocument::of(record)).check(text.expose_secret(), now)
}

#[test]
fn a_key_is_accepted_within_its_dates_only() {
    assert_eq!(check(|_| (), at(-1)), Err(BadKey::NotYetValid));
    assert_eq!(&*check(|_| (), NOW).unwrap().client, "agent");
    assert!(check(|_| (), at(3599)).is_ok());
    assert_eq!(check(|_| (), at(3600)), Err(BadKey::Expired));
    assert!(check(|key| key.not_after = None, at(1_000_000_000)).is_ok());
}

#[test]
fn a_key_that_was_ended_is_refused() {
    assert_eq!(
        check(|key| key.status = Status::Revoked, NOW),
        Err(BadKey::Revoked)
    );
    assert_eq!(
        check(|key| key.status = Status::Retired, NOW),
        Err(BadKey::Retired)
    );
}

#[test]
fn the_status_of_a_key_is_kept_from_those_who_have_not_its_secret() {
    let (text, mut record) = key(|key| key.status = Status::Revoked);
    record.sha256 = KeyHash::of("another");
    let set = KeySet::from(KeyDocument::of(record));
    assert_eq!(
        set.check(text.expose_secret(), NOW),
        Err(BadKey::WrongSecret)
    );
}

#[test]
fn a_hash_that_equals_the_one_compared_with_in_vain_opens_nothing() {
    assert_eq!(judge(None, KeyHash::NONE, NOW), Err(BadKey::Unknown));
    let (_, record) = key(|key| key.status = Status::Revoked);
    let wrong = judge(Some(&record), KeyHash::of("another"), NOW);
    assert_eq!(wrong, Err(BadKey::WrongSecret));
    let right = judge(Some(&record), record.sha256, NOW);
    assert_eq!(right, Err(BadKey::Revoked));
}

#[test]
fn a_key_that_only_the_document_before_has_works_for_the_overlap() {
    let (old, old_record) = key(|key| key.not_after = None);
    let (short, short_record) = key(|key| key.not_after = Some(at(60)));
    let (leaked, leaked_record) = key(|_| ());
    let (new, new_record) = key(|_| ());
    let mut previous = KeyDocument::of(old_record);
    previous.push(short_record);
    previous.push(leaked_record.clone());
    let mut current = KeyDocument::of(new_record);
    current.push(KeyRecord {
        status: Status::Revoked,
        ..leaked_record
    });
    let set = KeySet::from(Published {
        current,
        previous: Some((previous, at(900))),
    });
    let check = |key: &SecretString, now| set.check(key.expose_secret(), now).map(|_| ());
    assert_eq!(check(&old, at(899)), Ok(()));
    assert_eq!(check(&old, at(900)), Err(BadKey::Expired));
    assert_eq!(
        check(&short, at(60)),
        Err(BadKey::Expired),
        "its own end counts"
    );
    assert_eq!(check(&leaked, NOW), Err(BadKey::Revoked));
    assert_eq!(check(&new, at(900)), Ok(()));
}

#[test]
fn a_key_stays_good_as_long_as_its_record_says_so() {
    let (_, record) = key(|_| ());
    let id = Arc::clone(&record.id);
    let keys = Keys::new(KeySet::from(KeyDocument::of(record.clone())));
    let still = |id: &str, client, now| keys.still_good(id, client, now);
    assert_eq!(still(&id, "agent", NOW), Ok(()));
    assert_eq!(still(&id, "agent", at(3600)), Err(BadKey::Expired));
    assert_eq!(still(&id, "another", NOW), Err(BadKey::Unknown));
    assert_eq!(still("AAAAAAAAAA", "agent", NOW), Err(BadKey::Unknown));
    keys.publish(Published::from(KeyDocument::of(KeyRecord {
        status: Status::Revoked,
        ..record
    })));
    assert_eq!(still(&id, "agent", NOW), Err(BadKey::Revoked));
}

#[test]
fn use_is_remembered_to_the_minute_and_over_a_new_document() {
    let (text, record) = key(|key| key.not_after = None);
    let (other, other_record) = key(|_| ());
    let id = Arc::clone(&record.id);
    let document = KeyDocument::of(record);
    let keys = Keys::new(KeySet::from(document.clone()));
    let use_at = |text: &SecretString, now| {
        let _ = keys.verify(&ApiKey::parse(text.expose_secret()).unwrap(), now);
    };
    assert_eq!(keys.last_used(), []);
    use_at(&text, at(59));
    use_at(&text, at(125));
    use_at(&other, at(300));
    let mut both = document;
    both.push(other_record);
    keys.publish(both.into());
    assert_eq!(
        keys.last_used(),
        [(id, at(120))],
        "an unknown key is not used"
    );
}

#[tokio::test]
async fn the_first_use_is_told_at_once_and_so_is_one_after_a_pause() {
    let (text, record) = key(|key| key.not_after = None);
    let keys = Keys::new(KeySet::from(KeyDocument::of(record)));
    let is_told = |now| {
        keys.verify(&ApiKey::parse(text.expose_secret()).unwrap(), now)
            .unwrap();
        futures_util::FutureExt::now_or_never(keys.first_used()).is_some()
    };
    let told = [0, 1, 3000, 6599, 10_199].map(|second| is_told(at(second)));
    assert_eq!(told, [true, false, false, false, true]);
}

#[test]
fn an_unknown_key_is_refused() {
    let (stranger, _) = key(|_| ());
    let set = KeySet::from(KeyDocument::of(key(|_| ()).1));
    assert_eq!(
        set.check(stranger.expose_secret(), NOW),
        Err(BadKey::Unknown)
    );
    assert_eq!(set.check("hello", NOW), Err(BadKey::Malformed));
}

#[test]
fn a_bad_document_leaves_the_old_keys_in_place() {
    let (text, record) = key(|_| ());
    let keys = Keys::new(KeySet::from(KeyDocument::of(record)));
    for bad in [
        &b""[..],
        b"{",
        br#"{"version":1,"keys":[]}"#,
        &[b' '; 2 << 20],
    ] {
        assert!(keys.replace(bad).is_err());
        assert!(
            keys.verify(&ApiKey::parse(text.expose_secret()).unwrap(), NOW)
                .is_ok()
        );
    }
    let (other, record) = key(|_| ());
    keys.replace(&KeyDocument::of(record).to_json().unwrap())
        .unwrap();
    assert!(
        keys.verify(&ApiKey::parse(text.expose_secret()).unwrap(), NOW)
            .is_err()
    );
    assert!(
        keys.verify(&ApiKey::parse(other.expose_secret()).unwrap(), NOW)
            .is_ok()
    );
}

#[test]
fn only_keys_that_can_be_used_are_counted() {
    let mut document = KeyDocument::of(key(|_| ()).1);
    document.push(key(|key| key.status = Status::Revoked).1);
    document.push(key(|key| key.not_after = Some(NOW)).1);
    assert_eq!(KeySet::from(document).usable(NOW), 1);
    assert_eq!(Keys::default().usable(NOW), 0);
}

#[test]
fn revoking_the_last_key_is_not_a_bad_document() {
    let (text, record) = key(|_| ());
    let keys = Keys::new(KeySet::from(KeyDocument::of(record.clone())));
    let revoked = KeyRecord {
        status: Status::Revoked,
        ..record
    };
    keys.replace(&KeyDocument::of(revoked).to_json().unwrap())
        .unwrap();
    let key = ApiKey::parse(text.expose_secret()).unwrap();
    assert_eq!(keys.verify(&key, NOW), Err(BadKey::Revoked));
    assert_eq!(keys.usable(NOW), 0);
}
