//! A Lua script that Redis knows by its digest, and is told again when it has forgotten it.

use redis::{ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, cmd};

use super::{Link, Store, Unavailable};

/// One script. All its keys have to share one hash tag, so that it runs on a cluster too.
pub struct Script {
    text: &'static str,
    digest: String,
}

impl Script {
    /// Takes the text; nothing is sent yet.
    pub fn new(text: &'static str) -> Self {
        Self {
            text,
            digest: redis::Script::new(text).get_hash().to_owned(),
        }
    }

    /// Runs it in one round trip, or in two when Redis has not seen it yet.
    ///
    /// # Errors
    /// What Redis or the connection says.
    pub async fn run<T: FromRedisValue>(
        &self,
        link: &mut Link,
        keys: &[&str],
        arguments: &[Vec<u8>],
    ) -> RedisResult<T> {
        let ask = |command: &str, script: &str| {
            let mut command = cmd(command);
            command.arg(script).arg(keys.len()).arg(keys).arg(arguments);
            command
        };
        match ask("EVALSHA", &self.digest).query_async(link).await {
            // The text goes to the node that has to run it, which SCRIPT LOAD may miss.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                ask("EVAL", self.text).query_async(link).await
            }
            ran => ran,
        }
    }
}

impl Store {
    /// Runs a script that may run twice.
    ///
    /// # Errors
    /// As [`Store::run`].
    pub async fn run_script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[Vec<u8>],
    ) -> Result<T, Unavailable> {
        let ask = |mut link| async move { script.run(&mut link, keys, arguments).await };
        self.run(ask).await
    }
}
