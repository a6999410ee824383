//! The CloudFormation templates: clean by cfn-lint and checkov, and in step with the daemon.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use crate::tools::{Folder, checkov, passes, read, root, run, text, tool, zoho_mcp};

const TEMPLATES: [&str; 4] = [
    "deploy/aws/secrets.yaml",
    "deploy/aws/fargate.yaml",
    "deploy/aws/single.yaml",
    "deploy/cloudwatch/observability.yaml",
];

#[test]
fn cfn_lint_finds_nothing() {
    // W3002 says that a template needs `aws cloudformation package`; docs/deployment.md says so too.
    passes(
        tool("cfn-lint")
            .args(["--ignore-checks", "W3002", "--"])
            .args(TEMPLATES),
    );
}

#[test]
fn a_property_that_does_not_exist_would_be_found() {
    let folder = Folder::new();
    let wrong = read(TEMPLATES[1]).replace("StopTimeout:", "StopTimeOut:");
    let wrong = folder.write("fargate.yaml", &wrong);
    let ended = run(tool("cfn-lint").arg(&wrong));
    assert!(
        text(&ended.stdout).contains("StopTimeOut"),
        "{}",
        text(&ended.stdout)
    );
}

#[test]
fn checkov_finds_nothing() {
    let mut checkov = checkov("cloudformation");
    for template in TEMPLATES {
        checkov.args(["-f", template]);
    }
    passes(&mut checkov);
}

/// The variables that a template gives the daemon, with something in the place of what only AWS
/// knows.
fn variables(template: &str) -> BTreeMap<String, String> {
    let template = read(template);
    let known = [
        ("${DomainName}", "mcp.example.com"),
        ("${VpcCidr}", "10.40.0.0/16"),
        ("${BalancerCidr}", "172.31.0.0/16"),
        ("${Cache.PrimaryEndPoint.Address}", "cache.example.internal"),
        ("!Ref MinTasks", "2"),
        (
            "${Arn}",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x-AbCdEf",
        ),
    ];
    let after_names = template.split("Name: ZOHO_MCP__").skip(1).map(|rest| {
        let end = rest.find([',', '\n']).unwrap();
        let (name, rest) = rest.split_at(end);
        let (_, value) = rest.split_once("Value:").unwrap();
        let value = match value.trim_start().strip_prefix("!Sub\n") {
            Some(lines) => lines.trim_start().trim_start_matches("- "),
            None => value.trim_start().trim_start_matches("!Sub "),
        };
        let value = value.lines().next().unwrap().trim_end_matches('}');
        let mut value = value.trim_matches(['"', '\'']).to_owned();
        for (unknown, known) in known {
            value = value.replace(unknown, known);
        }
        (format!("ZOHO_MCP__{name}"), value)
    });
    after_names.collect()
}

#[test]
fn the_daemon_is_content_with_what_the_templates_tell_it() {
    for (template, expected) in [(TEMPLATES[1], 14), (TEMPLATES[2], 9)] {
        let variables = variables(template);
        assert_eq!(variables.len(), expected, "{template}: {variables:?}");
        let mut check = zoho_mcp();
        check
            .args(["check", "--config", "deploy/aws/zoho-mcp.toml"])
            .envs(&variables);
        let said = passes(&mut check);
        assert!(!said.contains("warning"), "{template}: {said}");
    }
}

#[test]
fn the_daemon_gets_the_rights_in_valkey_that_it_needs_and_no_others() {
    let page = read("docs/limits.md");
    let line = page
        .lines()
        .find(|line| line.starts_with("ACL SETUSER zoho-mcp on"))
        .unwrap();
    let (_, needed) = line.split_once("~zm:* ").unwrap();
    let template = read(TEMPLATES[1]);
    let (_, rest) = template
        .split_once("AccessString: \"on ~zm:* -@all ")
        .unwrap();
    assert_eq!(rest.split('"').next(), Some(needed));
}

#[test]
fn no_line_of_the_log_is_dropped_and_no_task_is_killed_before_it_has_ended() {
    for template in [TEMPLATES[1], TEMPLATES[2]] {
        assert!(read(template).contains("mode: blocking\n"), "{template}");
        let variables = variables(template);
        let seconds = |key: &str| -> u32 { variables[key].trim_end_matches('s').parse().unwrap() };
        let end = seconds("ZOHO_MCP__SERVER__DRAIN_DELAY")
            + seconds("ZOHO_MCP__SERVER__DRAIN_TIMEOUT")
            + 5;
        let text = read(template);
        let (_, rest) = text.split_once("StopTimeout: ").unwrap();
        assert!(
            end <= rest.lines().next().unwrap().parse().unwrap(),
            "{template}"
        );
    }
}

#[test]
fn the_image_of_the_page_is_for_the_machines_of_the_templates_and_where_they_find_it() {
    for template in [TEMPLATES[1], TEMPLATES[2]] {
        assert!(
            read(template).contains("CpuArchitecture: X86_64"),
            "{template}"
        );
    }
    let page = read("docs/deployment.md");
    let (_, section) = page.split_once("\n## AWS\n").unwrap();
    let (commands, _) = section.split_once("\n```\n").unwrap();
    let (before, deploy) = commands
        .split_once("\ndocker push REGISTRY/zoho-mcp:OWN\n")
        .unwrap();
    let builds = before.matches("\ndocker build ");
    assert_eq!(builds.count(), 2);
    assert_eq!(
        before
            .matches("\ndocker build --platform linux/amd64 ")
            .count(),
        2
    );
    assert!(
        deploy.contains("Image=REGISTRY/zoho-mcp@sha256:"),
        "{deploy}"
    );
}

#[test]
fn an_update_leaves_as_many_tasks_as_the_scaling_has_made() {
    let template = read(TEMPLATES[1]);
    let (_, rest) = template.split_once("\n  Service:\n").unwrap();
    let (service, rest) = rest.split_once("\n  Scaling:\n").unwrap();
    assert!(!service.contains("DesiredCount:"), "{service}");
    assert!(rest.contains("MinCapacity: !Ref MinTasks"));
}

#[test]
fn a_rotation_leaves_the_last_password_and_the_new_one() {
    let python = root().join("target/clients/python/bin/python");
    let mut rotation = Command::new(python);
    rotation
        .env("PYTHONPATH", root().join("deploy/aws/rotate"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    passes(rotation.arg("tests/deploy/rotation.py"));
}

#[test]
fn the_rotation_may_do_what_it_does_and_nothing_else() {
    let code = read("deploy/aws/rotate/rotate.py");
    let camel = |word: &str| word[..1].to_uppercase() + &word[1..];
    let mut done = BTreeSet::new();
    for (client, service) in [("secrets.", "secretsmanager"), ("cache.", "elasticache")] {
        for call in code.split(client).skip(1) {
            let name = call.split('(').next().unwrap();
            if name.contains('_') && name.chars().all(|it| it.is_ascii_lowercase() || it == '_') {
                let action: String = name.split('_').map(camel).collect();
                done.insert(format!("{service}:{action}"));
            }
        }
    }
    let template = read(TEMPLATES[1]);
    let (_, role) = template.split_once("\n  RotatorRole:\n").unwrap();
    let (role, _) = role.split_once("\n  # The daemon.\n").unwrap();
    let words = role.split(|c: char| !c.is_alphanumeric() && c != ':');
    let granted =
        words.filter(|it| it.starts_with("secretsmanager:") || it.starts_with("elasticache:"));
    assert_eq!(done, granted.map(str::to_owned).collect());
    assert_eq!(done.len(), 7, "{done:?}");
}

/// The secrets that a part of a template names.
fn secrets_in(part: &str) -> BTreeSet<&str> {
    let names = part.split("\"Fn::Sub\": \"${Prefix}-").skip(1);
    let names = names.filter_map(|rest| rest.split('"').next());
    names.filter(|name| *name != "key").collect()
}

#[test]
fn a_task_may_read_the_secrets_that_it_is_told_of_and_no_others() {
    let exported = read(TEMPLATES[0]);
    for template in [TEMPLATES[1], TEMPLATES[2]] {
        let text = read(template);
        let (_, rest) = text.split_once("\n  TaskRole:\n").unwrap();
        let (role, rest) = rest.split_once("\n  Task:\n").unwrap();
        let (task, _) = rest.split_once("\n  Service:\n").unwrap();
        let (permitted, told) = (secrets_in(role), secrets_in(task));
        assert_eq!(permitted, told, "{template}");
        assert!(told.contains("audit-key"), "{template}: the log is signed");
        for secret in told {
            let export = format!("Name: !Sub \"${{Prefix}}-{secret}\"");
            assert!(exported.contains(&export), "{template}: {secret}");
        }
    }
}
