//! `zoho-mcp audit explain`: why a call was refused or failed, and what would change that.

use std::{io::Write, path::PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::{
    BadArguments,
    files::Files,
    remedy::{self, Remedy},
    telling,
};

#[derive(clap::Args)]
pub(super) struct Explain {
    #[command(flatten)]
    call: Call,
    /// The configuration, to name the line in it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The files of the log, in any order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Call {
    /// The request, as the answer's X-Request-Id says
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// One call of one tool
    #[arg(long, value_name = "ID")]
    execution: Option<String>,
}

pub(super) fn run(explain: &Explain, out: &mut impl Write) -> anyhow::Result<()> {
    let config = match &explain.config {
        Some(path) => {
            let place = || format!("cannot read {}", path.display());
            let text = std::fs::read_to_string(path).with_context(place);
            Some((path.display().to_string(), text.map_err(BadArguments)?))
        }
        None => None,
    };
    let files = Files::new(&explain.files)?;
    let mut lines = Vec::new();
    files.lines(|_, text| {
        let line = serde_json::from_slice::<Value>(text);
        lines.extend(line.ok().filter(|line| explain.call.is(line)));
    })?;
    anyhow::ensure!(!lines.is_empty(), "nothing of that is in the log");
    for line in &lines {
        if let Some(remedy) = remedy::of(line, config.as_ref().map(|(_, text)| &**text)) {
            telling::tell(line, None, out)?;
            tell(&remedy, config.as_ref(), out)?;
            return Ok(());
        }
    }
    writeln!(out, "It was not refused and did not fail.")?;
    Ok(())
}

impl Call {
    fn is(&self, line: &Value) -> bool {
        let has = |name: &str, wanted: &Option<String>| {
            wanted.as_ref().is_some_and(|wanted| line[name] == **wanted)
        };
        has("requestId", &self.request) || has("executionId", &self.execution)
    }
}

fn tell(
    remedy: &Remedy,
    config: Option<&(String, String)>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    writeln!(out, "why      {}", remedy.why)?;
    writeln!(out, "remedy   {}", remedy.what)?;
    let Some((table, key)) = &remedy.setting else {
        return Ok(());
    };
    let found = config.and_then(|(file, text)| Some((file, remedy::line_of(text, table, key)?)));
    match (found, config) {
        (Some((file, (number, line))), _) => writeln!(out, "line     {file}:{number}: {line}"),
        (None, Some((file, _))) => {
            writeln!(
                out,
                "line     {file} does not set it: add {key} under [{table}]"
            )
        }
        (None, None) => writeln!(
            out,
            "line     {key} under [{table}] (--config FILE finds it)"
        ),
    }
}
