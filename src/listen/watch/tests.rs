use super::{super::strangers::Line, *};

const HEAD: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(75);
const WRITE: Duration = Duration::from_secs(30);

async fn seconds_until_it_expires(watch: &Watch) -> u64 {
    let began = Instant::now();
    watch.expired().await;
    began.elapsed().as_secs()
}

fn rested(is_multiplexed: bool) -> Arc<Watch> {
    let watch = Watch::new(HEAD, IDLE, WRITE, Standing::proven());
    drop(watch.request(is_multiplexed));
    watch
}

#[tokio::test(start_paused = true)]
async fn a_first_head_has_a_short_while_and_the_time_between_requests_is_longer() {
    assert_eq!(
        seconds_until_it_expires(&Watch::new(HEAD, IDLE, WRITE, Standing::proven())).await,
        5
    );
    assert_eq!(seconds_until_it_expires(&rested(false)).await, 75);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_proven_nothing_gets_little_time_for_the_next_request_and_for_an_answer() {
    let line = Line::default();
    let watch = Watch::new(HEAD, IDLE, WRITE, line.arrive());
    drop(watch.request(false));
    assert_eq!(seconds_until_it_expires(&watch).await, 5);
    let standing = line.arrive();
    let watch = Watch::new(HEAD, IDLE, WRITE, standing.clone());
    let _request = watch.request(false);
    watch.wrote(false);
    tokio::time::advance(WRITE / 2).await;
    watch.wrote(true);
    watch.wrote(false);
    assert_eq!(seconds_until_it_expires(&watch).await, 15);
    watch.flushed();
    assert!(line.send_one_away() && line.send_one_away());
    assert_eq!(seconds_until_it_expires(&watch).await, 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_what_proves_nothing_rests_no_longer_than_by_what_was_proven() {
    let standing = Line::default().arrive();
    let watch = Watch::new(HEAD, IDLE, WRITE, standing.clone());
    let request = watch.request(false);
    let proven = standing.prove();
    tokio::time::advance(IDLE * 2).await;
    drop((proven, request));
    for (after, seconds) in [(40, 35), (30, 5), (4, 5), (4, 5)] {
        tokio::time::advance(Duration::from_secs(after)).await;
        drop(watch.request(false));
        assert_eq!(seconds_until_it_expires(&watch).await, seconds);
    }
}

#[tokio::test(start_paused = true)]
async fn a_byte_begins_the_next_head_and_a_frame_may_be_a_ping() {
    for (is_multiplexed, seconds) in [(false, 5), (true, 75)] {
        let watch = rested(is_multiplexed);
        watch.bytes_came();
        assert_eq!(
            seconds_until_it_expires(&watch).await,
            seconds,
            "multiplexed: {is_multiplexed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn another_head_has_a_short_while_during_a_request_too() {
    let watch = Watch::new(HEAD, IDLE, WRITE, Standing::proven());
    let _request = watch.request(true);
    watch.is_within_a_head(true);
    tokio::time::advance(HEAD / 2).await;
    watch.is_within_a_head(true);
    assert_eq!(seconds_until_it_expires(&watch).await, 2);
    watch.is_within_a_head(false);
    assert!(tokio::time::timeout(IDLE, watch.expired()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nothing_expires_during_a_request_and_only_idle_connections_are_hurried() {
    let watch = Watch::new(HEAD, IDLE, WRITE, Standing::proven());
    let request = watch.request(false);
    watch.hurry(Duration::from_secs(1));
    assert!(
        tokio::time::timeout(IDLE * 9, watch.expired())
            .await
            .is_err()
    );
    drop(request);
    watch.hurry(Duration::from_secs(1));
    assert_eq!(seconds_until_it_expires(&watch).await, 1);
}
