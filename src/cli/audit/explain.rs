//! `zoho-mcp audit explain`: why a call was refused or failed, and what would change that.

use std::{io::Write, path::PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use super::{
    BadArguments,
    document::Document,
    doubt::{Doubt, Trust},
    effect,
    fate::Fate,
    files::Files,
    page::Page,
    remedy::{self, Remedy},
    settings::Settings,
    telling::{self, Course},
};
use crate::config::{DEFAULTS, Environment};

#[derive(clap::Args)]
pub(super) struct Explain {
    #[command(flatten)]
    call: Call,
    #[command(flatten)]
    trust: Trust,
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

pub(super) fn run(
    explain: &Explain,
    environment: &Environment,
    out: &mut Page<impl Write>,
) -> anyhow::Result<()> {
    let config = match &explain.config {
        Some(path) => {
            let place = || format!("cannot read {}", path.display());
            let text = std::fs::read_to_string(path).with_context(place);
            Some((path.display().to_string(), text.map_err(BadArguments)?))
        }
        None => None,
    };
    let config = config.as_ref().map(|(file, text)| (&**file, &**text));
    let settings = Settings::new(config, environment)?;
    let files = Files::new(&explain.files)?;
    let (mut lines, mut fate) = (Vec::new(), Fate::default());
    let mut doubt = Doubt::new(&explain.trust)?;
    files.lines(|at, text| {
        let Some(text) = doubt.line(at, text) else {
            return;
        };
        let Ok(line) = serde_json::from_slice::<Value>(text) else {
            return;
        };
        if let Some((boot, told)) = Fate::told_by(&line)
            && lines.iter().any(|line: &Value| line["boot"] == *boot)
        {
            fate = told;
        }
        lines.extend(Some(line).filter(|line| explain.call.is(line)));
    })?;
    let believed = doubt.tell(lines.len() as u64);
    if !lines.is_empty() {
        answer(&lines, fate, &settings, out)?;
    }
    Ok(believed?)
}

/// Why the call that these lines are about was refused, failed, or has no end.
fn answer(
    lines: &[Value],
    fate: Fate,
    settings: &Settings<'_>,
    out: &mut Page<impl Write>,
) -> anyhow::Result<()> {
    let start = lines.iter().find(|line| line["event"] == "tool_call_start");
    for line in lines {
        if let Some(remedy) = remedy::of(line, settings) {
            telling::tell(line, Course::default(), out)?;
            tell(&remedy, settings, out)?;
            let is_end = line["durationMs"].is_u64();
            return match effect::in_doubt(start, Some(line)).filter(|_| is_end) {
                Some(doubt) => Ok(writeln!(out, "effect   {doubt}")?),
                None => Ok(()),
            };
        }
    }
    let has_ended = lines.iter().any(|line| line["durationMs"].is_u64());
    if let Some(start) = start.filter(|_| !has_ended) {
        let course = Course {
            fate,
            ..Course::default()
        };
        telling::tell(start, course, out)?;
        writeln!(out, "why      {}", fate.words())?;
        writeln!(
            out,
            "remedy   read what the log and the operational log have after it"
        )?;
        return Ok(());
    }
    writeln!(
        out,
        "The log has no refusal and no failure of it. A request whose form is wrong is refused \
         without a line, and counted in the metric zoho_mcp_refusals_total. So is one that was answered with \
         404 (No such session): its session was not known any more, and session_close says why it \
         ended."
    )?;
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
    settings: &Settings<'_>,
    out: &mut Page<impl Write>,
) -> std::io::Result<()> {
    writeln!(out, "why      {}", remedy.why)?;
    writeln!(out, "remedy   {}", remedy.what)?;
    for path in remedy.setting.iter().chain(&remedy.and) {
        let path: Vec<_> = path.iter().map(String::as_str).collect();
        tell_line(&path, settings, out)?;
    }
    Ok(())
}

/// Where the key at `path` is set, or would be.
fn tell_line(
    path: &[&str],
    settings: &Settings<'_>,
    out: &mut Page<impl Write>,
) -> std::io::Result<()> {
    let Some((key, tables)) = path.split_last() else {
        return Ok(());
    };
    if let Some(variable) = settings.variable(path) {
        return writeln!(
            out,
            "line     set by {variable} in this environment, which counts before any file"
        );
    }
    let table = tables.join(".");
    let defaults = Document::parse(DEFAULTS).ok();
    let default = defaults.and_then(|defaults| defaults.line_of(path));
    let default = default.map_or_else(String::new, |(_, line)| format!("; the default is {line}"));
    let Some((file, document)) = settings.file() else {
        return writeln!(
            out,
            "line     {key} under [{table}] (--config FILE finds it){default}"
        );
    };
    match document.line_of(path) {
        Some((number, line)) => writeln!(out, "line     {file}:{number}: {line}"),
        None => writeln!(
            out,
            "line     {file} does not set it: add {key} under [{table}]{default}"
        ),
    }
}
