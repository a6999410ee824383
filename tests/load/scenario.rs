//! A company's agents at work, each in its role, on two daemons that share a Redis: at first only
//! those that behave, then also those that do not. Says what became of every call, and ends badly
//! if a write was lost or made twice, a call has no line in the log, or those that behave had to
//! wait for the others. `tests/load/run scenario` builds and starts it.

mod agent;
mod company;
mod evidence;
mod role;
mod tally;

use std::time::Duration;

use clap::Args;
use tokio::{task::JoinSet, time::Instant};

use crate::process::Installation;
use agent::{Agent, Work};
use company::Company;
use role::Role;
use tally::Tally;

/// How many, how much, and for how long.
#[derive(Args, Clone)]
pub(crate) struct Setup {
    /// Agents in each of the roles of those that behave.
    #[arg(long, default_value_t = 5)]
    agents: usize,
    /// Calls a second of each of them, at random moments.
    #[arg(long, default_value_t = 2.0)]
    rate: f64,
    /// Calls a second of the one that floods.
    #[arg(long, default_value_t = 200.0)]
    flood: f64,
    /// How long those that behave are alone, and then how long they are not, in seconds.
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// How many times as long their p99 may be when they are not alone.
    #[arg(long, default_value_t = 3.0)]
    ratio: f64,
}

pub(crate) async fn run(installation: &Installation, setup: Setup) {
    let clients = Role::ALL.map(|role| role.clients(setup.agents)).concat();
    let company = Company::open(installation, &clients).await;
    let alone = play(&company, &setup, Phase::Alone).await;
    let together = play(&company, &setup, Phase::Together).await;
    tally::print(&alone, &together);
    let notes = company.notes(&clients).await;
    let logs = company.close();
    installation.verify(&logs);

    let lines = evidence::of_calls(&logs, alone.seen().chain(together.seen()));
    let written = evidence::of_notes(notes, alone.told().chain(together.told()));
    println!("| writes told, each found once | {written} |");
    println!("| lines of the log that tell of the calls, verified | {lines} |");
    let unexpected = alone.unexpected() + together.unexpected();
    assert_eq!(unexpected, 0, "calls were answered as they should not be");
    let (before, meanwhile) = (alone.good(0.99), together.good(0.99));
    println!("| p99 of those that behave | {before:.1?} alone, {meanwhile:.1?} together |");
    assert!(
        meanwhile <= before.mul_f64(setup.ratio),
        "those that behave waited for those that do not"
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Alone,
    Together,
}

/// Lets everybody work for so long, and says what became of it.
async fn play(company: &Company, setup: &Setup, phase: Phase) -> Tally {
    let until = Instant::now() + Duration::from_secs_f64(setup.seconds);
    let mut work = JoinSet::new();
    let roles = Role::ALL.into_iter();
    for role in roles.filter(|role| phase == Phase::Together || role.behaves()) {
        let clients = role.clients(setup.agents);
        let rate = role.rate(setup) / (role.hands() as f64);
        for client in clients {
            for hand in 0..role.hands() {
                let prefix = format!("{}-{client}-{hand}", phase as usize);
                let agent = Agent::new(company, role, &client, prefix);
                work.spawn(agent.work(until, rate));
            }
        }
    }
    let work: Vec<Work> = work.join_all().await;
    Tally::new(work)
}
