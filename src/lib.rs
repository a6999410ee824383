//! The map of the house. A request comes in at the top of this list and meets the rooms in this
//! order; a file imports only from rooms below its own (`tests/house.rs` holds the floors).
//!
//! * [`cli`]: the commands; one file each.
//! * [`router`]: the walk of a request, spelled once as a list.
//! * [`app`]: everything that is held, built once from the configuration.
//! * [`config`]: the configuration file and the environment, refused with file, key and remedy.
//! * [`mcp`]: the MCP handler and the two transports.
//! * [`tools`]: the table of tools; one file each.
//! * [`health`]: cached checks of what this daemon depends on.
//! * [`limit`]: how much a caller may call.
//! * [`permit`]: what a caller may touch.
//! * [`call`]: the JSON-RPC envelope, read once.
//! * [`auth`]: who is calling.
//! * [`zoho`]: the client of Zoho CRM.
//! * [`sandbox`]: a Zoho CRM to try out and to test against; used by commands and tests only.
//! * [`listen`]: sockets, deadlines, the peer's address, draining.
//! * [`secrets`]: where secrets come from.
//! * [`store`]: the connection to Redis, and what happens when it is gone.
//! * [`audit`]: what happened, one line each.
//! * [`refusal`]: every way to say no, and the response each one becomes.
//! * [`telemetry`]: the operational log, metrics and traces.
//! * [`setting`]: the types a configuration value can have.

pub mod app;
pub mod audit;
pub mod auth;
pub mod call;
pub mod cli;
pub mod config;
pub mod health;
pub mod limit;
pub mod listen;
pub mod mcp;
pub mod permit;
pub mod refusal;
pub mod router;
pub mod sandbox;
pub mod secrets;
pub mod setting;
pub mod store;
pub mod telemetry;
pub mod tools;
pub mod zoho;
