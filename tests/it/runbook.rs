//! A page of `docs/runbooks`, whose commands are run where an operator would run them.

use std::{collections::VecDeque, fs, path::Path};

use crate::house::House;

/// What is not yet run of a page.
pub(crate) struct Runbook {
    name: String,
    steps: VecDeque<Step>,
}

/// The commands below one heading.
struct Step {
    heading: String,
    commands: String,
}

impl Runbook {
    pub(crate) fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
        let page = fs::read_to_string(folder.join(format!("{name}.md"))).unwrap();
        let steps = page.split("\n## ").skip(1).filter_map(Step::read).collect();
        Self {
            name: name.to_owned(),
            steps,
        }
    }

    /// The same page where something else stands in the place of what tests have not got.
    pub(crate) fn with(mut self, page: &str, here: &str) -> Self {
        for step in &mut self.steps {
            step.commands = step.commands.replace(page, here);
        }
        self
    }

    /// Runs what stands below the next heading that has commands; what they printed.
    pub(crate) async fn step(&mut self, heading: &str, house: &House) -> String {
        self.step_with(heading, house, &[]).await
    }

    /// The same with variables of the operator's own.
    pub(crate) async fn step_with(
        &mut self,
        heading: &str,
        house: &House,
        variables: &[(&str, &str)],
    ) -> String {
        let step = self.steps.pop_front().expect("another step");
        assert_eq!(
            step.heading, heading,
            "the steps of {} in their order",
            self.name
        );
        // What an earlier step remembered is there in the next one, and so are tools of the test.
        let script = format!(
            "set -euo pipefail; PATH=$PWD/tools:$PATH; [ ! -e .remembered ] || . ./.remembered\n{}\ndeclare -p old execution \
             began PID > .remembered 2> /dev/null || true",
            step.commands
        );
        let files = [("LOG", "audit.jsonl"), ("USAGE", "keys.usage.json")];
        let variables = [&files, variables].concat();
        let ran = house.shell(&script, &variables).await;
        let printed = String::from_utf8_lossy(&ran.stdout).into_owned();
        let problem = String::from_utf8_lossy(&ran.stderr);
        assert!(
            ran.status.success(),
            "{}, {heading}: {printed}{problem}",
            self.name
        );
        printed
    }

    /// Nothing was left out.
    pub(crate) fn done(self) {
        let left: Vec<_> = self.steps.iter().map(|step| &step.heading).collect();
        assert!(left.is_empty(), "{}: {left:?} was not run", self.name);
    }
}

impl Step {
    fn read(section: &str) -> Option<Self> {
        let (heading, body) = section.split_once('\n')?;
        let blocks = body.split("\n```sh\n").skip(1);
        let commands: Vec<&str> = blocks
            .filter_map(|block| block.split("\n```").next())
            .collect();
        (!commands.is_empty()).then(|| Self {
            heading: heading.to_owned(),
            commands: commands.join("\n"),
        })
    }
}
