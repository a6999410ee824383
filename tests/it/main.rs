//! Everything through the front door: a daemon and a sandbox as processes of their own, real
//! sockets, real files. One harness ([`house`]), one binary.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "what a test measures or leaves out is for whoever runs it"
)]

mod agent;
mod bad_certificates;
mod bad_tokens;
mod balancer;
mod collector;
mod container;
mod crm;
mod house;
mod insights;
mod issuer;
mod lag;
mod log;
mod moto;
mod names;
mod no_token;
mod pair;
mod passage;
mod pki;
mod process;
mod redis;
mod runbook;
mod strangers;
mod stream;
mod suite;
mod traffic;
mod wire;

mod api_keys;
mod audit;
mod authorities;
mod bodies;
mod browser;
mod cache;
mod chaos;
mod cli;
mod clients;
mod cloudwatch;
mod collector_faults;
mod composition;
mod conformance;
mod demo;
mod denied_tokens;
mod descriptors;
mod drain;
mod embedded_metrics;
mod emptied_redis;
mod evidence;
mod heads;
mod health;
mod hostile;
mod http2;
mod http_sessions;
mod image;
mod installations;
mod jwt;
mod keys;
mod lapse;
mod legacy_sse;
mod limit_script;
mod limits;
mod listener;
mod mcp;
mod metrics;
mod mtls;
mod oauth;
mod outage;
mod overload;
mod permissions;
mod plain_calls;
mod record;
mod redis_access;
mod redis_chaos;
mod redis_cluster;
mod redis_data;
mod redis_failover;
mod redis_kinds;
mod redis_outages;
mod redis_rights;
mod redis_seen;
mod redis_slow;
mod redis_unsteady;
mod refused_tokens;
mod relay;
mod relay_cancels;
mod relay_kinds;
mod relay_lost;
mod relay_stalled;
mod reload;
mod repeated_scripts;
mod runbooks;
mod secrets;
mod secrets_at_start;
mod session_calls;
mod session_cut;
mod session_ends;
mod session_life;
mod session_limits;
mod session_unanswered;
mod shared_budget;
mod shared_keys;
mod shared_limits;
mod shared_pause;
mod shared_remaining;
mod shared_token;
mod shared_writes;
mod sources;
mod stream_cut;
mod tls;
mod token_outage;
mod tools;
mod traces;
mod upgrades;
mod visibility;
mod zoho_faults;
