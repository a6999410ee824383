//! What is in `deploy/`: checked by the tools that those who run it use, and by the daemon itself.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

#[path = "deploy/tools.rs"]
mod tools;

#[path = "deploy/aws.rs"]
mod aws;
#[path = "deploy/host.rs"]
mod host;
#[path = "deploy/kubernetes.rs"]
mod kubernetes;
#[path = "deploy/machine.rs"]
mod machine;
#[path = "deploy/pin.rs"]
mod pin;
