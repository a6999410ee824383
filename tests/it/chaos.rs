//! Every fault against everything that the daemon needs, on two instances: what is expected stands
//! in [`table`], what was observed is printed beside it. `tests/chaos` shows it, with strict figures.

mod flood;
mod issuers;
mod logs;
mod redis;
mod scene;
mod secrets;
mod sessions;
mod table;
mod zoho;

use scene::run;

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_every_instance_serves_its_share() {
    run(redis::scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_zoho_agents_are_told_so_within_the_deadline() {
    run(zoho::scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_issuer_whoever_it_vouched_for_is_served() {
    run(issuers::scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_secrets_manager_the_keys_that_were_good_last_serve() {
    run(secrets::scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_log_nothing_is_written_and_reads_go_on() {
    run(logs::scene).await;
}
