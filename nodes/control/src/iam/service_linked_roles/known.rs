//! The services that have such a role.

pub struct Known {
    /// The service's principal.
    pub service: &'static str,
    pub role: &'static str,
    /// Of AWS's policies under `aws-service-role/`.
    pub policy: &'static str,
    /// Whether an account may have several, told apart by a suffix.
    pub suffix: bool,
}

const fn known(service: &'static str, role: &'static str, policy: &'static str, suffix: bool) -> Known {
    Known { service, role, policy, suffix }
}

pub const ALL: [Known; 14] = [
    known("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling", "AutoScalingServiceRolePolicy", true),
    known("cloudtrail.amazonaws.com", "AWSServiceRoleForCloudTrail", "CloudTrailServiceRolePolicy", false),
    known("config.amazonaws.com", "AWSServiceRoleForConfig", "AWSConfigServiceRolePolicy", false),
    known(
        "contributorinsights.dynamodb.amazonaws.com",
        "AWSServiceRoleForDynamoDBCloudWatchContributorInsights",
        "DynamoDBCloudWatchContributorInsightsServiceRolePolicy",
        false,
    ),
    known("dax.amazonaws.com", "AWSServiceRoleForDAX", "DAXServiceRolePolicy", false),
    known(
        "dynamodb.application-autoscaling.amazonaws.com",
        "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable",
        "AWSApplicationAutoscalingDynamoDBTablePolicy",
        false,
    ),
    known("elasticache.amazonaws.com", "AWSServiceRoleForElastiCache", "ElastiCacheServiceRolePolicy", false),
    known(
        "elasticbeanstalk.amazonaws.com",
        "AWSServiceRoleForElasticBeanstalk",
        "AWSElasticBeanstalkServiceRolePolicy",
        false,
    ),
    known(
        "elasticloadbalancing.amazonaws.com",
        "AWSServiceRoleForElasticLoadBalancing",
        "AWSElasticLoadBalancingServiceRolePolicy",
        false,
    ),
    known(
        "kinesisreplication.dynamodb.amazonaws.com",
        "AWSServiceRoleForDynamoDBKinesisDataStreamsReplication",
        "DynamoDBKinesisReplicationServiceRolePolicy",
        false,
    ),
    known(
        "maintenance.elasticbeanstalk.amazonaws.com",
        "AWSServiceRoleForElasticBeanstalkMaintenance",
        "AWSElasticBeanstalkMaintenance",
        false,
    ),
    known("rds.amazonaws.com", "AWSServiceRoleForRDS", "AmazonRDSServiceRolePolicy", false),
    known(
        "replication.dynamodb.amazonaws.com",
        "AWSServiceRoleForDynamoDBReplication",
        "DynamoDBReplicationServiceRolePolicy",
        false,
    ),
    known("ssm.amazonaws.com", "AWSServiceRoleForAmazonSSM", "AmazonSSMServiceRolePolicy", false),
];

pub fn find(service: &str) -> Option<&'static Known> {
    ALL.iter().find(|known| known.service == service)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_role_has_its_policy() {
        for known in &super::ALL {
            let arn = format!("arn:aws:iam::aws:policy/aws-service-role/{}", known.policy);
            assert!(breakwater_iam::aws_managed(&arn).is_some(), "{arn}");
        }
    }
}
