//! Scenarios of EC2: which resources have to be there for one.

use crate::iam::prelude::*;

const INSTANCE_STORE: &[&str] = &["instance", "image", "security-group", "network-interface"];
const INSTANCE_STORE_SUBNET: &[&str] = &["instance", "image", "security-group", "network-interface", "subnet"];
const EBS: &[&str] = &["instance", "image", "security-group", "network-interface", "volume"];
const EBS_SUBNET: &[&str] = &["instance", "image", "security-group", "network-interface", "subnet", "volume"];

const SCENARIOS: [(&str, &[&str]); 6] = [
    ("EC2-Classic-InstanceStore", &["instance", "image", "security-group"]),
    ("EC2-Classic-EBS", &["instance", "image", "security-group", "volume"]),
    ("EC2-VPC-InstanceStore", INSTANCE_STORE),
    ("EC2-VPC-InstanceStore-Subnet", INSTANCE_STORE_SUBNET),
    ("EC2-VPC-EBS", EBS),
    ("EC2-VPC-EBS-Subnet", EBS_SUBNET),
];

pub fn check(option: Option<&str>, resources: &[String]) -> Result<(), AwsError> {
    let Some(option) = option else { return Ok(()) };
    let Some((_, needed)) = SCENARIOS.iter().find(|(name, _)| *name == option) else {
        return Err(errors::invalid_input(format!("Invalid resource handling option: {option}")));
    };
    let kind = |arn: &str| arn.splitn(6, ':').nth(5).and_then(|r| r.split('/').next().map(str::to_owned));
    let there: Vec<String> = resources.iter().filter_map(|arn| kind(arn)).collect();
    match needed.iter().find(|kind| !there.iter().any(|t| t == *kind)) {
        Some(kind) => Err(errors::invalid_input(format!("The scenario {option} requires a resource of type {kind}."))),
        None => Ok(()),
    }
}
