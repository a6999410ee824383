//! Which commands a user of Redis may not run. A script that lacks one does not say which.

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, cmd};

use super::{Store, Unavailable};

impl Store {
    /// The commands that scripts need and the user may not run.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn missing_rights(&self) -> Result<Vec<&'static str>, Unavailable> {
        let mut missing = Vec::new();
        for (name, arguments) in COMMANDS {
            let ask = |mut link| async move {
                let mut command = cmd(name);
                command.arg(*arguments);
                let asked: RedisResult<()> = command.exec_async(&mut link).await;
                match asked {
                    Ok(()) => Ok(true),
                    Err(error) if is_forbidden(&error) => Ok(false),
                    // The question need not make sense: it only must not be forbidden.
                    Err(error) if error.code().is_some() => Ok(true),
                    Err(error) => Err(error),
                }
            };
            if !self.run(ask).await? {
                missing.push(*name);
            }
        }
        Ok(missing)
    }
}

/// By its command, and not by the key.
fn is_forbidden(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default();
    error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
        && detail.contains("permissions to run")
}

const KEY: &str = "zm:{rl}:trial:rights";

/// Each with as many arguments as it takes, since these are counted first. What the one key holds
/// meanwhile does not matter, and nothing is left of it.
const COMMANDS: &[(&str, &[&str])] = &[
    ("evalsha", &["none", "1", KEY]),
    ("eval", &["return 1", "1", KEY]),
    ("get", &[KEY]),
    ("hget", &[KEY, "field"]),
    ("hmget", &[KEY, "field"]),
    ("time", &[]),
    ("zcard", &[KEY]),
    ("zcount", &[KEY, "0", "1"]),
    ("zrangebyscore", &[KEY, "0", "1"]),
    ("zrem", &[KEY, "member"]),
    ("zremrangebyscore", &[KEY, "0", "1"]),
    ("zscore", &[KEY, "member"]),
    ("set", &[KEY, "1", "PX", "1000"]),
    ("llen", &[KEY]),
    ("rpush", &[KEY, "1"]),
    ("blpop", &[KEY, "0.01"]),
    ("hset", &[KEY, "field", "1"]),
    ("zadd", &[KEY, "1", "member"]),
    ("pexpire", &[KEY, "1000"]),
    ("del", &[KEY]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_every_script_is_tried() {
        let scripts = [
            include_str!("../limit/script/admit.lua"),
            include_str!("../limit/script/join.lua"),
            include_str!("../limit/script/look.lua"),
            include_str!("../limit/script/memory.lua"),
            include_str!("../limit/script/merge.lua"),
            include_str!("../limit/script/places.lua"),
            include_str!("../mcp/relay/script/beat.lua"),
            include_str!("../mcp/relay/script/leave.lua"),
            include_str!("../mcp/relay/script/process.lua"),
            include_str!("../mcp/relay/script/push.lua"),
            include_str!("../mcp/relay/script/take.lua"),
            include_str!("../mcp/relay/script/withdraw.lua"),
            include_str!("../mcp/session/script/at.lua"),
            include_str!("../mcp/session/script/due.lua"),
            include_str!("../mcp/session/script/end.lua"),
            include_str!("../mcp/session/script/expire.lua"),
            include_str!("../mcp/session/script/forget.lua"),
            include_str!("../mcp/session/script/look.lua"),
            include_str!("../mcp/session/script/lost.lua"),
            include_str!("../mcp/session/script/open.lua"),
            include_str!("../mcp/session/script/use.lua"),
            include_str!("../tools/idempotency/script/begin.lua"),
            include_str!("../tools/idempotency/script/complete.lua"),
            include_str!("../tools/idempotency/script/look.lua"),
            include_str!("../tools/idempotency/script/own.lua"),
            include_str!("../tools/idempotency/script/restore.lua"),
            include_str!("../tools/idempotency/script/settle.lua"),
            include_str!("../zoho/allowance/script/enter.lua"),
            include_str!("../zoho/allowance/script/ledger.lua"),
            include_str!("../zoho/allowance/script/pause.lua"),
            include_str!("../zoho/allowance/script/tell.lua"),
            include_str!("../zoho/token/script/denials.lua"),
            include_str!("../zoho/token/script/denied.lua"),
            include_str!("../zoho/token/script/mint.lua"),
            include_str!("../zoho/token/script/minted.lua"),
            include_str!("../zoho/token/script/throttled.lua"),
        ];
        for script in scripts {
            for call in script.split("call('").skip(1) {
                let name = call.split('\'').next().unwrap().to_lowercase();
                let is_tried = COMMANDS.iter().any(|(tried, _)| *tried == name);
                // Reading INFO is wished for and not needed.
                assert!(is_tried || name == "info", "{name}");
            }
        }
    }
}
