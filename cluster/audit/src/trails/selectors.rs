//! What a trail selects: AWS's basic and advanced event selectors. Pure.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadWrite {
    All,
    ReadOnly,
    WriteOnly,
}

/// Resources whose data calls are selected: one by its ARN, or all of a service by `arn:aws:dynamodb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataResource {
    /// As `AWS::DynamoDB::Table`.
    pub kind: String,
    pub values: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSelector {
    pub read_write: ReadWrite,
    pub management: bool,
    pub data: Vec<DataResource>,
    /// Sources of management events that are left out, as `kms.amazonaws.com`.
    pub excluded: Vec<String>,
}

/// Holds if any of the first three lists has a value that fits, or all are empty, and none of the others does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldSelector {
    pub field: String,
    pub equals: Vec<String>,
    pub starts_with: Vec<String>,
    pub ends_with: Vec<String>,
    pub not_equals: Vec<String>,
    pub not_starts_with: Vec<String>,
    pub not_ends_with: Vec<String>,
}

/// Holds if all of its fields do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvancedSelector {
    pub name: Option<String>,
    pub fields: Vec<FieldSelector>,
}

/// An event is selected if any of them selects it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selectors {
    Basic(Vec<EventSelector>),
    Advanced(Vec<AdvancedSelector>),
}

/// What selectors look at.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// A data event, else a management event.
    pub data: bool,
    /// As `dynamodb.amazonaws.com`.
    pub source: &'a str,
    pub name: &'a str,
    pub read_only: bool,
    /// As `AwsApiCall`.
    pub kind: &'a str,
    pub identity_arn: &'a str,
    pub from_console: bool,
    /// Type and ARN of each.
    pub resources: &'a [(&'a str, &'a str)],
}

impl Default for EventSelector {
    /// All management events and no data events.
    fn default() -> Self {
        EventSelector { read_write: ReadWrite::All, management: true, data: vec![], excluded: vec![] }
    }
}

impl Default for Selectors {
    fn default() -> Self {
        Selectors::Basic(vec![EventSelector::default()])
    }
}

impl DataResource {
    fn fits(&self, (kind, arn): (&str, &str)) -> bool {
        // A service's whole ARN prefix stands for all of it; a bucket's may be followed by the beginning of a key; other
        // ARNs are exact.
        let is_open = |value: &str| value.split(':').count() <= 3 || kind == "AWS::S3::Object";
        kind == self.kind && self.values.iter().any(|v| v == arn || is_open(v) && arn.starts_with(v.as_str()))
    }
}

impl EventSelector {
    fn fits(&self, facts: &Facts<'_>) -> bool {
        let side = match self.read_write {
            ReadWrite::All => true,
            ReadWrite::ReadOnly => facts.read_only,
            ReadWrite::WriteOnly => !facts.read_only,
        };
        side && match facts.data {
            true => facts.resources.iter().any(|resource| self.data.iter().any(|data| data.fits(*resource))),
            false => self.management && !self.excluded.iter().any(|source| source == facts.source),
        }
    }
}

impl FieldSelector {
    fn fits(&self, value: &str) -> bool {
        let positive = [&self.equals, &self.starts_with, &self.ends_with].iter().any(|list| !list.is_empty());
        let wanted = self.equals.iter().any(|v| v == value)
            || self.starts_with.iter().any(|v| value.starts_with(v.as_str()))
            || self.ends_with.iter().any(|v| value.ends_with(v.as_str()));
        let unwanted = self.not_equals.iter().any(|v| v == value)
            || self.not_starts_with.iter().any(|v| value.starts_with(v.as_str()))
            || self.not_ends_with.iter().any(|v| value.ends_with(v.as_str()));
        (wanted || !positive) && !unwanted
    }

    /// How many values it has.
    pub fn values(&self) -> usize {
        self.lists().iter().map(|list| list.len()).sum()
    }

    pub fn lists(&self) -> [&Vec<String>; 6] {
        [&self.equals, &self.starts_with, &self.ends_with, &self.not_equals, &self.not_starts_with, &self.not_ends_with]
    }
}

fn word(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

impl AdvancedSelector {
    fn fits(&self, facts: &Facts<'_>) -> bool {
        // What it says of resources must hold for one of them.
        let with = |resource: Option<&(&str, &str)>| {
            self.fields.iter().all(|field| {
                let value = match field.field.as_str() {
                    "eventCategory" => Some(if facts.data { "Data" } else { "Management" }),
                    "eventSource" => Some(facts.source),
                    "eventName" => Some(facts.name),
                    "readOnly" => Some(word(facts.read_only)),
                    "eventType" => Some(facts.kind),
                    "userIdentity.arn" => Some(facts.identity_arn),
                    "sessionCredentialFromConsole" => Some(word(facts.from_console)),
                    "resources.type" => resource.map(|(kind, _)| *kind),
                    "resources.ARN" => resource.map(|(_, arn)| *arn),
                    _ => None,
                };
                value.is_some_and(|value| field.fits(value))
            })
        };
        with(None) || facts.resources.iter().any(|resource| with(Some(resource)))
    }

    fn of_data(&self) -> bool {
        self.fields.iter().any(|f| f.field == "eventCategory" && f.fits("Data"))
    }
}

impl Selectors {
    pub fn select(&self, facts: &Facts<'_>) -> bool {
        match self {
            Selectors::Basic(all) => all.iter().any(|selector| selector.fits(facts)),
            Selectors::Advanced(all) => all.iter().any(|selector| selector.fits(facts)),
        }
    }

    /// Whether data calls have to be looked at at all.
    pub fn of_data(&self) -> bool {
        match self {
            Selectors::Basic(all) => all.iter().any(|selector| !selector.data.is_empty()),
            Selectors::Advanced(all) => all.iter().any(AdvancedSelector::of_data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "arn:aws:dynamodb:us-east-1:111122223333:table/Music";

    fn facts<'a>(data: bool, name: &'a str, read_only: bool, resources: &'a [(&'a str, &'a str)]) -> Facts<'a> {
        Facts {
            data,
            source: "dynamodb.amazonaws.com",
            name,
            read_only,
            kind: "AwsApiCall",
            identity_arn: "arn:aws:iam::111122223333:user/ann",
            from_console: false,
            resources,
        }
    }

    fn field(field: &str, equals: &[&str]) -> FieldSelector {
        let equals = equals.iter().map(|v| (*v).to_owned()).collect();
        FieldSelector { field: field.to_owned(), equals, ..FieldSelector::default() }
    }

    #[test]
    fn a_trail_without_selectors_of_its_own_selects_management_events() {
        let music = [("AWS::DynamoDB::Table", TABLE)];
        let all = Selectors::default();
        assert!(
            all.select(&facts(false, "CreateTable", false, &[])) && all.select(&facts(false, "ListTables", true, &[]))
        );
        assert!(!all.select(&facts(true, "PutItem", false, &music)) && !all.of_data());
    }

    #[test]
    fn basic_selectors_name_resources_and_sides() {
        let music = [("AWS::DynamoDB::Table", TABLE)];
        let other = [("AWS::DynamoDB::Table", "arn:aws:dynamodb:us-east-1:111122223333:table/Music2")];
        let select = |read_write, value: &str| {
            let data = vec![DataResource { kind: "AWS::DynamoDB::Table".to_owned(), values: vec![value.to_owned()] }];
            Selectors::Basic(vec![EventSelector { read_write, management: false, data, excluded: vec![] }])
        };
        let one = select(ReadWrite::WriteOnly, TABLE);
        assert!(one.of_data() && one.select(&facts(true, "PutItem", false, &music)));
        assert!(!one.select(&facts(true, "GetItem", true, &music)));
        assert!(!one.select(&facts(true, "PutItem", false, &other)));
        assert!(!one.select(&facts(false, "CreateTable", false, &music)));
        let all = select(ReadWrite::All, "arn:aws:dynamodb");
        assert!(
            all.select(&facts(true, "GetItem", true, &other)) && all.select(&facts(true, "PutItem", false, &music))
        );
        let excluding = Selectors::Basic(vec![EventSelector {
            excluded: vec!["kms.amazonaws.com".to_owned()],
            ..EventSelector::default()
        }]);
        let kms = Facts { source: "kms.amazonaws.com", ..facts(false, "Decrypt", true, &[]) };
        assert!(!excluding.select(&kms) && excluding.select(&facts(false, "ListTables", true, &[])));
    }

    #[test]
    fn advanced_selectors_are_all_fields_of_any_selector() {
        let music = [("AWS::DynamoDB::Table", TABLE)];
        let data = |more: FieldSelector| {
            let fields =
                vec![field("eventCategory", &["Data"]), field("resources.type", &["AWS::DynamoDB::Table"]), more];
            Selectors::Advanced(vec![AdvancedSelector { name: None, fields }])
        };
        let list = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        let named = data(field("eventName", &["PutItem", "DeleteItem"]));
        assert!(named.of_data() && named.select(&facts(true, "PutItem", false, &music)));
        assert!(!named.select(&facts(true, "GetItem", true, &music)));
        assert!(!named.select(&facts(false, "PutItem", false, &music)));
        let begins = data(FieldSelector {
            starts_with: list(&["Batch"]),
            ends_with: list(&["Item"]),
            ..field("eventName", &[])
        });
        assert!(
            begins.select(&facts(true, "BatchX", true, &music)) && begins.select(&facts(true, "GetItem", true, &music))
        );
        assert!(!begins.select(&facts(true, "Scan", true, &music)));
        let not = data(FieldSelector {
            not_equals: list(&["Scan"]),
            not_starts_with: list(&["Batch"]),
            not_ends_with: list(&["y"]),
            ..field("eventName", &[])
        });
        assert!(not.select(&facts(true, "GetItem", true, &music)));
        for name in ["Scan", "BatchGetItem", "Query"] {
            assert!(!not.select(&facts(true, name, true, &music)), "{name}");
        }
        let arn = data(FieldSelector {
            ends_with: list(&["/Music"]),
            not_equals: list(&[TABLE]),
            ..field("resources.ARN", &[])
        });
        assert!(!arn.select(&facts(true, "GetItem", true, &music)));
        let elsewhere = [("AWS::DynamoDB::Table", "arn:aws:dynamodb:eu-west-1:111122223333:table/Music"), music[0]];
        assert!(arn.select(&facts(true, "GetItem", true, &elsewhere)));
        // A management selector sees no data event, however it is called.
        let management = Selectors::Advanced(vec![AdvancedSelector {
            name: None,
            fields: vec![field("eventCategory", &["Management"]), field("readOnly", &["false"])],
        }]);
        assert!(!management.of_data() && management.select(&facts(false, "CreateTable", false, &[])));
        assert!(!management.select(&facts(false, "ListTables", true, &[])));
        assert!(!management.select(&facts(true, "PutItem", false, &music)));
    }
}
