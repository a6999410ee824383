//! Every fault against everything that the daemon needs, on two instances: what is expected stands
//! in [`table`], what was observed is printed beside it. `tests/chaos` shows it, with strict figures.

mod flood;
mod issuers;
mod logs;
mod redis;
mod scene;
mod secrets;
mod table;
mod zoho;

use scene::run;
use table::{NETWORK, WORDS};

use crate::passage::Fault;

#[tokio::test(flavor = "multi_thread")]
async fn redis_out_of_reach_leaves_every_instance_its_share() {
    run(redis::scene().await, &NETWORK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_out_of_its_mind_leaves_every_instance_its_share() {
    run(redis::scene().await, &WORDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zoho_out_of_reach_is_told_within_the_deadline() {
    run(zoho::scene().await, &NETWORK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zoho_out_of_its_mind_is_told_within_the_deadline() {
    run(zoho::scene().await, &WORDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_out_of_reach_is_noticed_by_nobody_it_knows() {
    run(issuers::scene().await, &NETWORK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_out_of_its_mind_is_noticed_by_nobody_it_knows() {
    run(issuers::scene().await, &WORDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_out_of_reach_are_those_that_were_good_last() {
    run(secrets::scene().await, &NETWORK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_out_of_their_mind_are_those_that_were_good_last() {
    run(secrets::scene().await, &WORDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_takes_no_lines_is_no_place_for_writes() {
    let all: Vec<Fault> = NETWORK.into_iter().chain(WORDS).collect();
    run(logs::scene().await, &all).await;
}
