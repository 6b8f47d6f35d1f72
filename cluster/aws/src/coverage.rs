//! What AWS has and we have, compared: for a service's tests, and as a table for people.

use crate::operation::{Access, Plane, Service};
use std::collections::BTreeSet;
use std::process::Command;

/// What may be called without a signature, by service: all that AWS leaves open. A front door with more doesn't start.
pub const UNSIGNED: &[(&str, &str)] = &[("sts", "AssumeRoleWithSAML"), ("sts", "AssumeRoleWithWebIdentity")];

/// The operations of a service in the installed botocore; none where there is no Python or no botocore.
pub fn botocore_operations(service: &str) -> Option<BTreeSet<String>> {
    const SCRIPT: &str = "import sys, botocore.session\n\
        for name in botocore.session.get_session().get_service_model(sys.argv[1]).operation_names: print(name)";
    let output = Command::new("python3").args(["-c", SCRIPT, service]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Members of all its inputs and outputs: `input` or `output`, the name, and the type in AWS's model.
#[cfg(test)]
pub fn botocore_members(service: &str) -> Option<BTreeSet<(String, String, String)>> {
    const SCRIPT: &str = "import sys, botocore.session\n\
        model = botocore.session.get_session().get_service_model(sys.argv[1])\n\
        def tell(direction, shape, seen):\n\
        \x20   if shape is None or shape.name in seen: return\n\
        \x20   seen.add(shape.name)\n\
        \x20   for name, member in getattr(shape, 'members', {}).items():\n\
        \x20       print(direction, name, member.type_name)\n\
        \x20       tell(direction, member, seen)\n\
        \x20   for inner in ('member', 'value'): tell(direction, getattr(shape, inner, None), seen)\n\
        for name in model.operation_names:\n\
        \x20   operation = model.operation_model(name)\n\
        \x20   tell('input', operation.input_shape, set())\n\
        \x20   tell('output', operation.output_shape, set())";
    let output = Command::new("python3").args(["-c", SCRIPT, service]).output().ok()?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let member = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        Some((words.next()?, words.next()?, words.next()?))
    };
    output.status.success().then(|| lines.lines().filter_map(member).collect())
}

/// Proves that a service's operations and its missing ones together are AWS's list, each once. `Err` says what is off.
pub fn compare<C>(service: &Service<C>, model: &BTreeSet<String>) -> Result<(), String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let ours = service.operations.iter().map(|o| o.name);
    for name in ours.chain(service.missing.iter().copied()) {
        if !seen.insert(name) {
            problems.push(format!("{name} is listed twice"));
        }
        if !model.contains(name) {
            problems.push(format!("{name} is not in AWS's model"));
        }
    }
    for name in model.iter().filter(|n| !seen.contains(n.as_str())) {
        problems.push(format!("{name} is neither an operation nor listed as missing"));
    }
    for operation in service.operations {
        let prefix = operation.action.split(':').next().unwrap_or_default();
        if prefix.is_empty() || prefix == operation.action {
            problems.push(format!("{} has no IAM action: {}", operation.name, operation.action));
        }
        if operation.resource_type.is_empty() {
            problems.push(format!("{} has no type of resource", operation.name));
        }
        let sets_tags = operation.condition_keys.iter().any(|key| key.starts_with("aws:RequestTag/"));
        if sets_tags && operation.access != Access::Tagging && operation.further_actions.is_empty() {
            problems.push(format!("{} takes tags from who may not tag", operation.name));
        }
        if operation.unsigned != UNSIGNED.contains(&(service.name, operation.name)) {
            problems.push(format!("{} is open to all, and shouldn't be, or the other way round", operation.name));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// One service's part of the coverage table, in Markdown.
pub fn table<C>(service: &Service<C>) -> String {
    let mut operations: Vec<_> = service.operations.iter().collect();
    operations.sort_by_key(|operation| operation.name);
    let mut missing = service.missing.to_vec();
    missing.sort_unstable();
    let (have, all) = (operations.len(), operations.len() + missing.len());
    let mut table = format!("## {}: {have} of {all} operations\n\n", service.name);
    table.push_str("| operation | action | access level | event | resource | further actions | condition keys |\n");
    table.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
    for operation in operations {
        let access = match operation.access {
            Access::List => "List",
            Access::Read => "Read",
            Access::Write => "Write",
            Access::Tagging => "Tagging",
            Access::PermissionsManagement => "Permissions management",
        };
        let event = match operation.plane {
            Plane::Control => "management",
            Plane::Data => "data",
        };
        let listed = |all: &[&str]| all.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
        let (keys, further) = (listed(operation.condition_keys), listed(operation.further_actions));
        let (name, action, resource) = (operation.name, operation.action, operation.resource_type.replace('*', "\\*"));
        table.push_str(&format!("| {name} | `{action}` | {access} | {event} | {resource} | {further} | {keys} |\n"));
    }
    let missing = if missing.is_empty() { "nothing".to_owned() } else { missing.join(", ") };
    table.push_str(&format!("\nMissing: {missing}.\n"));
    table
}
